"""The whole algorithm on one screen: a small model learns mazes by trial and error, with the loop in plain sight.

Run it with `python examples/minimal_loop.py [MODEL] [STEPS]`. Left out, and in `hone train`: micro-batches under a
token budget, several updates of a batch (ratios, clipping), schedules, held-out evaluation with intervals, verdicts
that are errors, checkpoints, a report, and any other piece in the place of each one used here.
"""

from __future__ import annotations

import asyncio
import sys

import torch

import hone
from hone.core.counting import count
from hone.core.forest import pack
from hone.core.noise import NoiseKey
from hone.core.sampling import Completion, Engine, SampleRequest, SamplingParams
from hone.core.trajectory import Segment, Trajectory
from hone.engines import choose
from hone.objectives import policy_gradient, sequence_sum
from hone.policies.loading import load_policy

PARAMS = SamplingParams(max_tokens=40, temperature=1.0)


async def sample(engine: Engine, prompts: list[Segment], n: int, step: int) -> list[list[Completion]]:
    """`n` answers to every prompt. The engine serves all prompts at once, when each of them waits for it."""

    async def answer(i: int) -> list[Completion]:
        noise = NoiseKey(seed=0, step=step).child(
            i
        )  # the same key is the same noise, whatever runs beside it
        try:
            return await engine.sample(SampleRequest(prompts[i].tokens, n, PARAMS, noise))
        finally:
            engine.leave()

    engine.expect(len(prompts))
    return await asyncio.gather(*(answer(i) for i in range(len(prompts))))


def main(model: str = "sprout", steps: int = 30, problems: int = 16, rollouts: int = 16) -> list[float]:
    """Train `model` for `steps`; prints and returns the share of solved attempts of every step."""
    task, policy = hone.task("maze", sizes=9), load_policy(model)
    engine, _ = choose(policy)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=2e-4, weight_decay=0.0)
    groups = torch.arange(problems).repeat_interleave(rollouts)
    kept = torch.ones(problems * rollouts, dtype=torch.bool)
    print(
        f"{model}: {problems} mazes x {rollouts} attempts a step. Mazes never repeat, so every rate is on new ones."
    )
    curve = []
    for step in range(1, steps + 1):
        # 1. Sample: several attempts at each of a few problems.
        batch = [task.problem((step - 1) * problems + i) for i in range(problems)]
        prompts = [Segment(policy.encode(problem.prompt), "prompt") for problem in batch]
        engine.refresh()  # take the present weights; sampling from old ones would be an error
        answers = asyncio.run(sample(engine, prompts, rollouts, step))
        # 2. Verify: 1 for a path that reaches the goal, 0 for any other text.
        attempts, verdicts = [], []
        for group, (problem, prompt, found) in enumerate(zip(batch, prompts, answers)):
            for each in found:
                text = policy.decode(each.tokens)
                leaf = Segment(each.tokens, "action", prompt, each.logprobs)
                attempts.append(Trajectory(problem, leaf, text, each.finish_reason, {"group": group}))
                verdicts.append(task.verify(problem, text).reward)
        rewards = torch.tensor(verdicts)
        # 3. Credit: how much better an attempt was than the other attempts at the same maze.
        advantages = hone.credit.rloo(rewards, groups)
        # 4. Score: log-probabilities of all sampled tokens; each prompt is stored and computed once.
        forest = pack(attempts)
        logprobs = policy.score(forest).logprobs
        # 5. Loss: the policy gradient of each token, summed over an answer, averaged over answers.
        owner, lengths = forest.rollout_of, forest.lengths
        terms = policy_gradient(logprobs, None, advantages[owner].to(logprobs.device))
        counts = count(lengths, groups, kept)
        weights = sequence_sum(owner, lengths, groups, kept, counts, length=PARAMS.max_tokens)
        loss = (weights.to(terms) * terms).sum()
        # 6. Update.
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimizer.step()
        policy.version += 1
        curve.append(float(rewards.mean()))
        recent = sum(curve[-10:]) / len(curve[-10:])  # 16 mazes are few: a single step says little
        print(
            f"step {step:3d}  solved {curve[-1]:6.1%}  last ten steps {recent:6.1%}  {'#' * round(50 * recent)}"
        )
    return curve


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "sprout", int(sys.argv[2]) if len(sys.argv) > 2 else 30)
