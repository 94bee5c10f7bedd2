"""The BabyAI study: the arms it runs, and the claims that read them."""

from __future__ import annotations

import numpy as np
import pytest

from hone.studies import ricl_babyai as study
from hone.studies.harness import LEAST_SEEDS


def test_goto_is_run_with_all_arms_and_the_other_levels_with_two_on_enough_seeds():
    cells = study.cells(short=False)
    goto = {f"goto_{arm}" for arm in ("ricol", "rwr", "reinforce", "ppo")}
    others = {f"{level}_{arm}" for level in study.OTHER_LEVELS for arm in ("ricol", "ppo")}
    assert {c.name for c in cells} == goto | others
    assert len({c.seed for c in cells}) >= LEAST_SEEDS[study.STUDY.scale]
    assert len({c.settings["steps"] for c in cells}) == 1  # as many attempts in all arms


def made(before: float, after: float, success: list[float]) -> dict:
    decisions = [100 * (i + 1) for i in range(len(success))]
    return {"before": before, "after": after, "success": success, "decisions": decisions}


def test_claims_compare_what_a_seed_ended_with_and_how_soon_it_learnt():
    never, late, soon = [0.0] * 20, [0.0] * 15 + [1.0] * 5, [0.0] * 5 + [1.0] * 15
    results = {
        "goto_ricol": {0: made(0.2, 0.7, soon), 1: made(0.3, 0.5, soon)},
        "goto_ppo": {0: made(0.2, 0.4, late), 1: made(0.3, 0.6, never)},
        "pick_up_seq_go_to_ricol": {0: made(0.0, 0.5, never)},
        "pick_up_seq_go_to_ppo": {0: made(0.0, 0.1, never)},
    }
    found = study.statistics(results)
    assert found["goto_ppo"].tolist() == pytest.approx([0.3, -0.1])
    assert found["goto_learns"].tolist() == pytest.approx([0.5, 0.2])
    assert found["pick_up_seq_go_to_ppo"].tolist() == pytest.approx([0.4])
    # Three of five steps succeed at step 8 and at step 18; what never gets there counts all 20.
    assert found["goto_ppo_sooner"].tolist() == pytest.approx(np.log2([18 / 8, 20 / 8]).tolist())
    assert found["pick_up_seq_go_to_ppo_sooner"].tolist() == [0.0]
    assert set(found) <= {claim.id for claim in study.CLAIMS}
