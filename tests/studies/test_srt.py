"""SRT's studies: the toy world against a plain version of it, and what the statistics say of made-up results."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from hone.studies import srt_bias, srt_task
from hone.studies.srt_world import Dials, World, rank_correlation, readings, train

SMALL = Dials(answers=4, features=6, problems=40, labelled=0.1, per_step=5, rollouts=4, steps=6, every=3)


@pytest.mark.parametrize("arm", ["online", "fixed", "easy", "labels", "maxrl"])
def test_a_run_depends_on_its_seed_alone(arm):
    together, alone = train(SMALL, [3, 8], arm), train(SMALL, [8], arm)
    for name, rows in together.items():
        assert rows[1] == pytest.approx(alone[name][0], abs=1e-12)


def test_a_step_against_a_plain_version():
    """Votes by counting, leave-one-out advantages written out, and the gradient by autograd."""
    world = World(SMALL, [5])
    chosen = world.draw()
    probabilities = world.policy(chosen)
    answers = world.sample(probabilities, SMALL.rollouts)
    weights, bias = world.weights[0].clone().requires_grad_(), world.bias[0].clone().requires_grad_()
    loss, advantages = torch.zeros((), dtype=torch.float64), torch.zeros(answers.shape, dtype=torch.float64)
    for row, problem in enumerate(chosen[0].tolist()):
        drawn = answers[0, row].tolist()
        winner = Counter(drawn).most_common(1)[0][0]
        logs = torch.log_softmax(weights @ world.inputs[0, problem] + bias, 0)
        for i, answer in enumerate(drawn):
            others = [float(a == winner) for j, a in enumerate(drawn) if j != i]
            earned = float(answer == winner) - sum(others) / len(others)
            advantages[0, row, i] = earned
            loss = loss - earned * logs[answer] / answers.numel()
    loss.backward()
    assert weights.grad is not None
    assert bias.grad is not None
    wanted = weights.detach() * (1 - SMALL.rate * SMALL.decay) - SMALL.rate * weights.grad
    world.climb(chosen, probabilities, answers, advantages)
    assert torch.allclose(world.weights[0], wanted)
    assert torch.allclose(world.bias[0], bias.detach() - SMALL.bias_rate * bias.grad)


def test_held_out_problems_are_not_trained_on_and_readings_are_exact():
    world = World(SMALL, [0])
    assert world.held_out == 4
    drawn = torch.cat([world.draw() for _ in range(20)], 1)
    assert int(drawn.min()) >= 4
    right = [float(world.policy()[0, i, world.correct[0, i]]) for i in range(4, 40)]
    assert float(readings(world)["accuracy"][0]) == pytest.approx(np.mean(right))
    world.keep_easiest(1 / 3)
    assert len(world.trained_on[0]) == 12


def test_perfect_labels_raise_accuracy_and_collapse_is_seen():
    rows = train(replace(SMALL, steps=60, per_step=20), [0, 1], "labels")["accuracy"]
    assert all(row[-1] > row[0] for row in rows)
    assert srt_bias.collapse(np.array([0.2, 0.6, 0.4, 0.29, 0.1])) == 4
    assert srt_bias.collapse(np.array([0.2, 0.6, 0.4])) == 3


def test_where_runs_are_stopped():
    labelled = np.array([0.1, 0.9, 0.5, 0.2, 0.4, 0.3, 0.4, 0.1, 0.4, 0.0, 0.4, 0.0, 0.4, 0.9, 0.9])
    assert srt_bias.stopped_at(labelled) == 2  # every second reading is an evaluation, and 5 were worse
    assert srt_bias.alarmed_at(np.array([0, 0, 0, 0, 1, 1]), 2) == 1
    assert srt_bias.alarmed_at(np.zeros(6), 2) == 5


def test_rank_correlation():
    assert rank_correlation(np.array([[1.0, 2.0, 9.0], [3.0, 2.0, 1.0]])).tolist() == [1.0, -1.0]


def test_claims_are_decided_by_the_arms_that_are_there():
    arm = {"every": 10, **train(SMALL, [0, 1], "online")}
    found = srt_bias.statistics({"online": {0: arm}})
    assert set(found) == {"T3_pseudo_rises", "T3_rises", "T3_falls", "T3_early_stop", "detectors"}
    everything = {cell.name: {0: arm} for cell in srt_bias.cells(True)}
    assert set(srt_bias.statistics(everything)) == {claim.id for claim in srt_bias.CLAIMS}
    assert len(srt_bias.curves(everything)) == 3


def run_of(*means: float) -> dict:
    return {
        "steps": [0, 10, 20, 30, 40, 50],
        "rates": [[mean] * 50 for mean in means],
        "maj@8": [0.5] * 6,
        "readings": {"majority_frequency": np.linspace(0, 1, 50).tolist()},
    }


def test_claims_in_mazes():
    arms = {
        "srt": run_of(0.3, 0.35, 0.4, 0.3, 0.2, 0.1),
        "labels": run_of(0.3, 0.35, 0.4, 0.5, 0.6, 0.7),
        "fixed": run_of(0.3, 0.35, 0.4, 0.4, 0.4, 0.4),
        "maxrl": run_of(0.3, 0.35, 0.4, 0.3, 0.2, 0.0),
    }
    results = {arm: dict.fromkeys(srt_task.SEEDS, run) for arm, run in arms.items()}
    found = {claim: values.mean() for claim, values in srt_task.statistics(results).items()}
    wanted = {
        "rises": 0.1, "falls": -0.3, "early_stop": 0.3, "labels_better": 0.6, "fixed_stays": 0.3,
        "maxrl_lower": -0.1, "majority_grows": np.linspace(0, 1, 50)[-10:].mean() - np.linspace(0, 1, 50)[:10].mean(),
    }  # fmt: skip
    assert found == pytest.approx(wanted)
    assert set(found) == {claim.id for claim in srt_task.CLAIMS}
    assert srt_task.stopped_at(arms["srt"]) == 2
    luckier = run_of(0.3, 0.35, 0.4, 0.3, 0.2, 0.1)
    luckier["rates"][1] = [0.9] * 10 + [0.35] * 40  # the labelled split is highest before the others are
    found = srt_task.statistics({"srt": dict.fromkeys(srt_task.SEEDS, luckier)})
    assert [found[claim].mean() for claim in ("rises", "falls")] == pytest.approx([0.05, -0.25])
    del results["labels"][5]
    assert "labels_better" not in srt_task.statistics(results)
