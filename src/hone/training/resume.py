"""Going on with a run: its newest good checkpoint, whether it is this recipe's, and the way back to its moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hone.compute import Ledger
from hone.core.errors import CheckpointError
from hone.core.recipe import Recipe
from hone.training import checkpoint, disk, lost
from hone.training.folder import JSONL, RunFolder
from hone.training.guards.readings import Past
from hone.training.guards.weights import check_fingerprint
from hone.training.planning import SETTLED
from hone.training.progress import Progress
from hone.training.retention import Best
from hone.training.versions import changes, versions

if TYPE_CHECKING:
    from hone.training.session import Session

# Keys that may change between a run and its resumption: they decide when it ends, what is written beside it, what
# guards do, what its time is said to cost, whether code of the model may run, and how a batch is cut to fit into
# memory, which moves a result by its rounding alone.
RESUMABLE = (
    *("steps", "max_sampled_tokens", "eval", "checkpoint", "guards", "max_error_share", "device"),
    *("trust_remote_code", "price_per_hour"),
    *SETTLED,
)


def identity(recipe: Recipe) -> str:
    """A digest of every key that decides what a step computes."""
    return recipe.model_copy(update={k: Recipe.model_fields[k].get_default() for k in RESUMABLE}).digest()


def find(folder: RunFolder, recipe: Recipe, progress: Progress) -> checkpoint.Found | None:
    """The newest good checkpoint of a run; None if it was stopped before its first, and so begins anew.

    Damaged ones are set aside. Raises CheckpointError for a run of another recipe, and if every checkpoint is damaged.
    """
    disk.sweep(folder.checkpoints)
    if not checkpoint.steps(folder.checkpoints):
        if different := difference(folder.read_recipe(), recipe):
            raise CheckpointError(
                f"{folder.path} belongs to another recipe: {different}.",
                "Give the run's own recipe, or start a new run with another `--out`.",
            )
        progress.note("the run was stopped before its first checkpoint: it begins anew")
        return None
    found = checkpoint.newest(folder.checkpoints, folder.sizes())
    if found.state.digest != identity(recipe):
        raise CheckpointError(
            f"{found.path} belongs to another recipe: {difference(found.state.recipe, recipe) or 'its keys differ'}.",
            "Give the run's own recipe, or start a new run with another `--out`.",
        )
    for path, problem in found.damaged.items():
        moved = disk.unused(path.with_name(f"damaged-{path.name.strip('.')}"))
        path.rename(moved)
        progress.note(f"checkpoint {path.name} is damaged ({problem}); it is set aside as {moved.name}")
    if other := changes(found.state.versions, versions()):
        progress.note(
            f"the checkpoint was written with other versions ({other}): the run goes on, but perhaps not bit for bit "
            "as it would have"
        )
    return found


def difference(theirs: Mapping[str, Any], recipe: Recipe) -> str:
    """Which keys of a run's own recipe differ from `recipe`, among those that may not; '' if none does."""
    ours = recipe.dump()
    keys = [k for k in ours if k not in RESUMABLE and ours[k] != theirs.get(k)]
    return ", ".join(f"`{k}` was {theirs.get(k)!r}, now {ours[k]!r}" for k in keys)


def restore(session: Session, found: checkpoint.Found | None) -> None:
    """Bring a freshly built session, and its folder's logs, to the moment of a checkpoint, or to the beginning."""
    lengths: Mapping[str, int] = dict.fromkeys(JSONL, 0)
    if found is not None:
        state, lengths = found.state, found.state.lengths
        check_fingerprint(session.policy, state.fingerprint, found.path)
        checkpoint.load_optimizer(found.path, session.optimizer)
        session.step = session.working_on = state.step
        session.evaluated = state.evaluated
        session.written = (state.step, state.evaluated)
        if state.best is not None and state.best["metric"] == session.recipe.checkpoint.best:
            session.best = session.best_written = Best(**state.best)
        session.before = state.seconds
        session.policy.version = state.version
        session.ledger = Ledger.from_state(state.ledger)
        session.curriculum_state = state.stages["curriculum"]
        session.guards.past = Past(**state.stages["guards"])
        _restore_memory(session, state.memory)
    cuts = session.folder.beyond(lengths)
    lost.record_cut(session.folder, cuts, session.ledger.state())
    session.folder.cut(lengths)
    lost.charge(session.folder, session.ledger)
    for cut in cuts:
        session.progress.note(f"{len(cut.content)} bytes of {cut.name} moved to {cut.aside.name}")


def _restore_memory(session: Session, memory: Mapping[str, int]) -> None:
    """What shortages of memory have left of the budget and the slots."""
    if memory:
        session.shortages = memory["shortages"]
        session.engine.max_slots = memory.get("max_slots")
        if session.recipe.max_tokens_per_microbatch == session.folder.read_recipe().get(SETTLED[0]):
            session.budget.tokens = memory["max_tokens_per_microbatch"]
