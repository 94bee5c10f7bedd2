"""The start-up self-test: do weights that change reach the engine that samples?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from hone.compute.ledger import Ledger
from hone.core.errors import EngineError
from hone.core.noise import NoiseKey
from hone.core.problem import Problem
from hone.core.sampling import Completion, Engine, SampleRequest, SamplingParams
from hone.core.trajectory import Segment, Trajectory
from hone.policies.token_policy import TokenPolicy
from hone.training.budget import TokenBudget
from hone.training.scoring import score

ROLLOUTS, TOKENS = 2, 4
PROMPT = np.arange(3, 7, dtype=np.int32)
FOLLOWS = {
    torch.bfloat16: 0.5,
    torch.float16: 0.5,
}  # share of the trainer's change that the engine may be off by
FOLLOWS_EXACTLY = 0.02
REPEATS = 1e-3  # nats by which a GPU, whose sums may change their order, need not repeat itself
_MEND = "Sampling would be from other weights than those that are trained. Use `engine=transformers`, and report this."


def check_reach(policy: TokenPolicy, engine: Engine) -> None:
    """Change every weight for a moment, and demand that the engine's logprobs follow the trainer's and come back.

    The change is of sign, which leaves weights, their version and the noise of a run bit for bit as they were. Of the
    tokens that the engine samples from the changed weights, its logprobs must be the trainer's, by far less than the
    trainer's own moved; the same request before and after must give the same tokens and, on a CPU bit for bit, the same
    logprobs. Three calls of a few
    tokens and two scoring passes. Raises EngineError.
    """
    slots = engine.max_slots
    try:
        _check(policy, engine)
    finally:
        engine.max_slots = slots  # should memory run out here, the run itself finds that out and says so


def _check(policy: TokenPolicy, engine: Engine) -> None:
    before = _sample(policy, engine)
    with _changed(policy):
        changed = _sample(policy, engine)
        trainer = _score(policy, changed)
    moved = float((trainer - _score(policy, changed)).abs().max())
    off = float((trainer - torch.from_numpy(_flat(changed))).abs().max())
    allowed = FOLLOWS.get(policy.autocast or policy.model.dtype, FOLLOWS_EXACTLY)
    if not (moved > 0 and off <= allowed * moved):
        raise EngineError(
            f"Weights that change do not reach the engine `{engine.name}`: when every weight was changed, the "
            f"trainer's logprobs moved by {moved:.3g} nats, and the engine's were {off:.3g} away from them.",
            _MEND,
        )
    after = _sample(policy, engine)
    if not _equal(before, after, 0.0 if policy.device.type == "cpu" else REPEATS):
        raise EngineError(
            f"The engine `{engine.name}` does not repeat itself: every weight was changed and put back, and the same "
            "request has other logprobs than before.",
            _MEND,
        )


@contextmanager
def _changed(policy: TokenPolicy) -> Iterator[None]:
    """Every weight with the other sign. Twice that is the weight itself, and needs no memory."""
    weights, version = list(policy.model.parameters()), policy.version
    with torch.no_grad():
        torch._foreach_neg_(weights)
    policy.version = version + 1
    try:
        yield
    finally:
        with torch.no_grad():
            torch._foreach_neg_(weights)
        policy.version = version


def _sample(policy: TokenPolicy, engine: Engine) -> list[Completion]:
    """The request of the test, from the policy's present weights. Its noise is no step's."""
    vocabulary = policy.model.config.get_text_config().vocab_size
    request = SampleRequest(PROMPT % vocabulary, ROLLOUTS, SamplingParams(TOKENS), NoiseKey(0, "self-test"))
    engine.refresh()
    engine.expect(1)
    try:
        return asyncio.run(engine.sample(request))
    finally:
        engine.leave()


def _score(policy: TokenPolicy, completions: list[Completion]) -> torch.Tensor:
    """The trainer's logprobs of the sampled tokens."""
    vocabulary = policy.model.config.get_text_config().vocab_size
    prompt = Segment(PROMPT % vocabulary, "prompt")
    rollouts = [
        Trajectory(
            Problem("", None, "self-test"),
            Segment(c.tokens, "action", prompt, c.logprobs),
            "",
            c.finish_reason,
            {"group": 0, "rollout": index},
        )
        for index, c in enumerate(completions)
    ]
    return score(policy, rollouts, 1.0, TokenBudget(1 << 10), Ledger()).logprobs.float()


def _flat(completions: list[Completion]) -> np.ndarray:
    return np.concatenate([c.logprobs for c in completions])


def _equal(ours: list[Completion], theirs: list[Completion], gap: float) -> bool:
    return len(ours) == len(theirs) and all(
        np.array_equal(a.tokens, b.tokens) and np.abs(a.logprobs - b.logprobs).max(initial=0.0) <= gap
        for a, b in zip(ours, theirs)
    )
