"""Look at a bundle again: the same batch, weights and past, through credit, loss and gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from hone.catalog import build_method
from hone.compute.ledger import Ledger
from hone.core.batch import Batch
from hone.core.errors import GuardError
from hone.core.forest import pack
from hone.core.method import Method
from hone.core.recipe import Recipe
from hone.policies.fingerprint import fingerprint
from hone.policies.loading import load_policy
from hone.policies.token_policy import Scores, TokenPolicy
from hone.training.budget import TokenBudget
from hone.training.folder import RunFolder
from hone.training.guards.batch_files import read_batch
from hone.training.guards.bundle import MODEL, Stored, read_finding
from hone.training.guards.checks import OF_ROLLOUTS, OF_UPDATES
from hone.training.guards.readings import Readings
from hone.training.guards.rollouts import rollout_readings
from hone.training.guards.watch import found, watch
from hone.training.losses import components, loss_weights
from hone.training.stages import assign
from hone.training.update import UpdateSettings, update

WORST = 8  # rollouts in the table
TOKENS = 1 << 14  # of a pass, where the recipe does not say


@dataclass(frozen=True)
class Contributor:
    """One rollout of the update: what it adds to the loss and, by itself, to the gradient.

    `gap` is the largest difference between the sampler's and the trainer's logprobs of its tokens in nats, `surprisal`
    the mean of the sampler's; `norm` is None for pieces that need whole groups at once.
    """

    rollout: int  # its index in the step's batch
    problem: str
    tokens: int
    reward: float | None
    advantage: float
    surprisal: float
    gap: float
    loss: float
    norm: float | None
    text: str


@dataclass(frozen=True)
class Replay:
    """What a bundle recorded and what was found now. `trips` are the guards that find something, with what they say."""

    stored: Stored
    now: Readings
    trips: dict[str, str]
    same_weights: bool  # whether the loaded weights have the fingerprint that the bundle names
    credit_off: float  # largest difference between the advantages stored and those assigned now
    worst: tuple[Contributor, ...]

    @property
    def reproduces(self) -> bool:
        """Whether the guard of the bundle finds something again."""
        return self.stored.finding.guard in self.trips


def replay(
    folder: Path, device: str = "auto", dtype: Literal["recipe", "float32", "bfloat16", "float64"] = "recipe"
) -> Replay:
    """Re-run what needs no judge and no engine: credit, the loss and its gradient, the readings, the guards.

    `dtype` is that of forward passes in place of the recipe's: a finding that float64 does not have is one of
    precision. Verdicts, sampled tokens and the logprobs of scoring passes are the stored ones. Weights are not moved.
    Raises GuardError for a bundle that cannot be read.
    """
    stored = read_finding(folder)
    recipe = Recipe.model_validate(RunFolder(folder).read_recipe())
    batch = read_batch(folder)
    if not (folder / MODEL).is_dir():
        raise GuardError(f"{folder} holds no {MODEL}.", "The bundle is damaged; take another one.")
    policy = load_policy(
        str(folder / MODEL),
        device=device,
        dtype=recipe.dtype if dtype == "recipe" else "float32" if dtype == "float64" else dtype,
        trust_remote_code=recipe.trust_remote_code,
    )
    same = fingerprint(policy) == stored.fingerprint
    if dtype == "float64":
        policy.model.double()
        if policy.value_head is not None:
            policy.value_head.double()
    method = build_method(recipe)
    fresh = assign(method, replace(batch, kept=batch.ok.clone(), advantages=None, returns=None))
    assert fresh.advantages is not None and batch.advantages is not None
    part = fresh.select(stored.chosen)
    now = _readings(recipe, method, policy, fresh, part)
    guards = watch(recipe, policy)
    trips = {
        name: says
        for table in (OF_ROLLOUTS, OF_UPDATES)
        for name, says in found(table, now, stored.past, guards.settings, guards.setting).items()
        if says
    }
    return Replay(
        stored,
        now,
        trips,
        same,
        _apart(fresh.advantages, batch.advantages),
        _worst(recipe, method, policy, part, stored.chosen),
    )


def _apart(a: torch.Tensor, b: torch.Tensor) -> float:
    """The largest difference; infinite where only one of two is a number."""
    off = (a - b).abs().masked_fill(a.isnan() & b.isnan(), 0.0).nan_to_num(nan=float("inf"))
    return float(off.max()) if len(off) else 0.0


def _readings(recipe: Recipe, method: Method, policy: TokenPolicy, batch: Batch, part: Batch) -> Readings:
    """Those of the step's rollouts, and those of the update of `part`, whose step is refused."""
    seen = [Readings()]

    def refuse(now: Readings, chosen: Sequence[int]) -> bool:
        seen.append(now)
        return False

    settings = UpdateSettings(recipe.temperature, 1, 1, recipe.max_grad_norm)
    optimizer = torch.optim.SGD(policy.parameters(), lr=0.0)
    budget = _budget(recipe)
    update(policy, optimizer, lambda _: 0.0, method, part, settings, budget, Ledger(), allow=refuse)
    sampled = rollout_readings(batch, recipe.guards.repetition.tail).known() if method.episode.samples else {}
    return replace(seen[-1], **sampled)  # type: ignore[arg-type]


def _budget(recipe: Recipe) -> TokenBudget:
    limit = recipe.max_tokens_per_microbatch
    return TokenBudget(TOKENS if limit == "auto" else limit)


def _worst(
    recipe: Recipe, method: Method, policy: TokenPolicy, part: Batch, chosen: Sequence[int]
) -> tuple[Contributor, ...]:
    """The rollouts with the largest part in the loss, those whose part is not finite first."""
    part = replace(part, weights=loss_weights(method, part))
    assert part.advantages is not None
    rows = []
    for place, rollout in enumerate(chosen):
        one = part.select([place])
        with torch.no_grad():
            scores, loss = _loss(recipe, method, policy, one)
        trajectory, sampled = one.trajectories[0], one.behaviour_logprobs.double()
        gap = (scores.logprobs.cpu().double() - sampled).abs()
        reward = float(one.rewards[0]) if bool(one.ok[0]) else None
        rows.append(
            Contributor(
                rollout,
                trajectory.problem.id,
                len(sampled),
                reward,
                float(one.advantages.mean()) if one.advantages is not None else 0.0,
                float(-sampled.mean()),
                float(gap.max()),
                float(loss),
                None,
                trajectory.text,
            )
        )
    rows.sort(key=lambda row: abs(row.loss) if row.loss == row.loss else float("inf"), reverse=True)
    places = {rollout: place for place, rollout in enumerate(chosen)}
    if method.couples == "group":
        return tuple(rows[:WORST])
    return tuple(
        replace(row, norm=_norm(recipe, method, policy, part.select([places[row.rollout]])))
        for row in rows[:WORST]
    )


def _loss(recipe: Recipe, method: Method, policy: TokenPolicy, one: Batch) -> tuple[Scores, torch.Tensor]:
    """A forward pass, and what it adds to the loss."""
    forest, values = pack(one.trajectories), "values" in method.needs
    scores = policy.score(forest, recipe.temperature, entropy=True, values=values)
    return scores, torch.stack(list(components(method, scores, one).values())).sum()


def _norm(recipe: Recipe, method: Method, policy: TokenPolicy, one: Batch) -> float:
    """The norm of the gradient of one rollout's part in the loss."""
    parameters = policy.parameters()
    policy.model.zero_grad(set_to_none=True)
    _loss(recipe, method, policy, one)[1].backward()
    norm = float(torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None]))
    policy.model.zero_grad(set_to_none=True)
    return norm
