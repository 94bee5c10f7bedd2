"""Steps to a threshold, and the short forms of the two tabular studies."""

import numpy as np
import pytest

from hone.studies import maxrl_digits, maxrl_weights
from hone.studies.harness import Cell


def test_steps_to_a_threshold_lie_between_readings():
    assert maxrl_digits.steps_to([0, 5, 10], [0.0, 0.4, 0.6], 0.5) == pytest.approx(7.5)
    assert maxrl_digits.steps_to([0, 5, 10], [0.0, 0.4, 0.6], 0.9) == 10  # never: the last step
    assert maxrl_digits.steps_to([0, 5], [0.7, 0.8], 0.5) == 0


def test_ratios_are_paired_and_reinforce_has_its_best_rate():
    def arm(*reached):
        return {0: {"steps_to_threshold": list(reached)}}

    found = maxrl_digits.statistics(
        {
            "100/cross_entropy": arm(10.0, 20.0),
            "100/maxrl-100": arm(11.0, 21.0),
            "100/reinforce-100": arm(100.0, 60.0),
            "100/reinforce-100-rate4": arm(80.0, 100.0),
        }
    )
    assert set(found) == {"maxrl_100_1x", "reinforce_100"}
    assert found["maxrl_100_1x"] == pytest.approx([1.1, 1.05])
    assert found["reinforce_100"] == pytest.approx([8.0, 3.0])


def test_a_short_run_learns():
    settings = {"actions": 100, "arm": "maxrl", "num_generations": 400, "steps": 40, "rate": 0.1}
    found = maxrl_digits.run(Cell("100/maxrl-400", 0, {**settings, "seeds": 2, "hidden": 64}))
    start, end = np.array(found["pass@1"])[:, 0], np.array(found["pass@1"])[:, -1]
    assert start == pytest.approx(0.01)
    assert (end > 0.02).all()
    assert found == maxrl_digits.run(Cell("100/maxrl-400", 0, {**settings, "seeds": 2, "hidden": 64}))


def test_sampled_weights_are_the_exact_ones():
    found = maxrl_weights.run(Cell("N=4", 0, {"num_generations": 4, "groups": 20_000, "seeds": 1}))
    for name in maxrl_weights.CREDITS:
        exact, sampled = np.array(found[f"exact/{name}"]), np.array(found[f"sampled/{name}"][0])
        frequent = [at for at, rate in enumerate(maxrl_weights.RATES) if 0.1 <= rate <= 0.9]
        assert sampled[frequent] == pytest.approx(exact[frequent], rel=0.1)
    order = maxrl_weights.RATES.index(0.1)
    assert found["exact/maxrl"][order] == pytest.approx((1 - 0.9**3) / 0.1)
    assert found["exact/rloo"] == pytest.approx(np.ones(len(maxrl_weights.RATES)))
