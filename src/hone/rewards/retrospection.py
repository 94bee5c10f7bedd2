"""Retrospection: feedback in hindsight at every decision, and the probabilities of actions that it argues for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from hone.core.batch import Batch
from hone.core.environment import Environment, hinted, playable
from hone.core.errors import RewardError
from hone.core.lazy import torch
from hone.core.options import require, require_choice
from hone.core.stages import Context
from hone.core.trajectory import Segment, Trajectory
from hone.rewards.endpoints import Endpoint
from hone.rewards.in_context import log_ratios
from hone.rewards.reflectors import Learned, Lived, Model, Oracle, Reflector, check_advice

if TYPE_CHECKING:
    from jaxtyping import Float

_REFLECTORS = ("oracle", "learned", "model", "endpoint")


@dataclass(frozen=True)
class Retrospection:
    """Writes `targets`: π^{1−α} π'^α, where π' is the policy on the same prompt with feedback in it.

    `reflector` is `oracle` (the environment's best action, right with probability `accuracy`), `learned` (a hindsight
    classifier of the step's attempts), `model` (a language model in the role `reflector_role`: the policy, or one of
    `models`) or `endpoint` (the chat model `endpoint_model` at the URL `endpoint`, with the key in the environment's
    HONE_ENDPOINT_KEY, if any). The latter two are asked with the `instruction`, if any, and answer in
    `feedback_tokens`.
    `feedbacks` pieces a decision are averaged. `alpha` in (0, 1] is the trust region. `reader` is the role that reads
    feedback: the policy, or a frozen model of `models`, whose own ratio with and without feedback is then taken.

    Needs `episode: {name: turns, form: state}`: a decision is an action after a prompt of its own.
    """

    reflector: Literal["oracle", "learned", "model", "endpoint"] = "oracle"
    accuracy: float = 1.0
    feedbacks: int = 1
    alpha: float = 0.5
    reader: str = "policy"
    reflector_role: str = "policy"
    instruction: str = ""
    feedback_tokens: int = 2
    endpoint: str = ""
    endpoint_model: str = ""

    needs: ClassVar[frozenset[str]] = frozenset()
    gives: ClassVar[frozenset[str]] = frozenset({"targets"})

    def __post_init__(self) -> None:
        require_choice("reflector", self.reflector, _REFLECTORS)
        require("accuracy", self.accuracy, 0 <= self.accuracy <= 1, "in [0, 1]")
        require("feedbacks", self.feedbacks, self.feedbacks >= 1, "at least 1")
        require("alpha", self.alpha, 0 < self.alpha <= 1, "above 0 and at most 1")
        require("feedback_tokens", self.feedback_tokens, self.feedback_tokens >= 1, "at least 1")
        asks = self.reflector == "endpoint"
        good = self.endpoint.startswith(("http://", "https://")) if asks else not self.endpoint
        require(
            "endpoint", self.endpoint, good, "a URL with `reflector: endpoint`, and is for that one alone"
        )
        rule = "the model's name with `reflector: endpoint`, and is for that one alone"
        require("endpoint_model", self.endpoint_model, bool(self.endpoint_model) == asks, rule)

    def formula(self) -> str:
        """The target in plain text."""
        mean = f", mean over {self.feedbacks} feedbacks" if self.feedbacks > 1 else ""
        return (
            f"target ∝ π(a|s) exp({self.alpha:g} · clip₁₀ log(π'(a|s)/π(a|s))), π' = {self.reader}(·|s, f){mean}; "
            f"f from {self.reflector}"
        )

    async def __call__(self, batch: Batch, context: Context) -> Batch:
        """The batch with targets of every decision, and how far they are from the policy."""
        attempts = _attempts(batch.trajectories)
        reflector = self._reflector(context)
        task = playable(context.task)
        lived, actions = [], tuple[str, ...]()
        for members in attempts:
            first = batch.trajectories[members[0]]
            world = task.start(first.problem)
            actions = world.actions
            lived.append(_relived(world, first, len(members), reflector.privileged))
        spoken = await reflector(lived, actions, self.feedbacks, context)
        said = spoken.texts
        order = [i for members in attempts for i in members]
        states = [state for each in lived for state in each.states]
        prompts = [batch.trajectories[i].segments[0] for i in order]
        before = await context.role("policy").act(prompts, actions)
        ratios = await self._ratios(prompts, states, said, before, actions, context)
        targets = torch.softmax(before + self.alpha * ratios, -1)
        place = torch.empty(len(order), dtype=torch.long)
        place[torch.tensor(order)] = torch.arange(len(order))
        heard = sum(1 for each in said if each)
        moved = (torch.special.xlogy(targets, targets) - targets * before).sum(-1).mean()
        gap = (before.exp() * -ratios).sum(-1).mean()
        readings = {
            "retrospection/heard": heard / max(1, len(said)),
            "retrospection/log_z": float(gap),
            "retrospection/target_kl": float(moved),
            **{f"retrospection/{name}": value for name, value in spoken.readings.items()},
        }
        return replace(batch, targets=targets[place], readings={**batch.readings, **readings})

    def _reflector(self, context: Context) -> Reflector:
        if self.reflector == "oracle":
            return Oracle(self.accuracy)
        if self.reflector == "learned":
            return Learned()
        if self.reflector == "endpoint":
            return Endpoint(self.endpoint, self.endpoint_model, self.instruction, self.feedback_tokens)
        return Model(self.instruction, self.feedback_tokens, self.reflector_role)

    async def _ratios(
        self,
        prompts: Sequence[Segment],
        states: Sequence[str],
        said: Sequence[Sequence[str]],
        before: Float[torch.Tensor, "decisions actions"],
        actions: tuple[str, ...],
        context: Context,
    ) -> Float[torch.Tensor, "decisions actions"]:
        """Mean log ratio of every decision; zero where nothing was said."""
        role = context.role(self.reader)
        shown = [(t, hinted(states[t], text)) for t, texts in enumerate(said) for text in texts if text]
        out = torch.zeros_like(before)
        if not shown:
            return out
        distinct = {text: Segment(role.encode(text), "prompt") for _, text in shown}
        after = await role.act([distinct[text] for _, text in shown], actions)
        plain = before if self.reader == "policy" else await role.act(prompts, actions)
        rows = torch.tensor([t for t, _ in shown])
        each = log_ratios(plain[rows], after[None])
        count = torch.bincount(rows, minlength=len(before)).clamp(min=1)
        return out.index_add(0, rows, each) / count[:, None]


def _attempts(trajectories: Sequence[Trajectory]) -> list[list[int]]:
    """Places of the decisions of each attempt, in order. Raises RewardError for what is no decision of its own."""
    found: dict[tuple[int, int], list[int]] = {}
    for i, t in enumerate(trajectories):
        if "turn" not in t.labels or len(t.segments) != 2 or t.num_actions != 1:
            raise RewardError(
                "Retrospection reads decisions, each one action after a prompt of its own, and this rollout is none.",
                "Set `episode: {name: turns, form: state}` and list the environment's `actions`.",
            )
        found.setdefault((t.labels["group"], t.labels["attempt"]), []).append(i)
    return [sorted(places, key=lambda i: trajectories[i].labels["turn"]) for places in found.values()]


def _relived(world: Environment, first: Trajectory, decisions: int, advised: bool) -> Lived:
    """The attempt played again, action by action: environments are functions of seed and actions."""
    place = check_advice(world, first.problem.task) if advised else None
    states, advice = [], []
    done = first.text.split(" ")
    assert len(done) == decisions  # an action space leaves nothing else to say
    for action in done:
        states.append(world.state)
        if place is not None:
            advice.append(place.advice())
        world.step(action)
    earned = first.verdict.reward if first.verdict is not None and first.verdict.reward is not None else 0.0
    return Lived(tuple(states), tuple(done), earned, tuple(advice))
