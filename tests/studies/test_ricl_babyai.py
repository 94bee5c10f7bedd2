"""The BabyAI study: the arms it runs, and the claims that read them."""

from __future__ import annotations

import pytest

from hone.studies import ricl_babyai as study
from hone.studies.harness import LEAST_SEEDS


def test_goto_is_run_with_all_arms_on_enough_seeds():
    cells = study.cells(short=False)
    assert {c.name for c in cells} == {f"goto_{arm}" for arm in ("ricol", "rwr", "reinforce", "ppo")}
    assert len({c.seed for c in cells}) >= LEAST_SEEDS[study.STUDY.scale]
    assert len({c.settings["steps"] for c in cells}) == 1  # equal decisions in all arms


def test_claims_compare_what_a_seed_ended_with():
    results = {
        "goto_ricol": {0: {"before": 0.2, "after": 0.7}, 1: {"before": 0.3, "after": 0.5}},
        "goto_ppo": {0: {"before": 0.2, "after": 0.4}, 1: {"before": 0.3, "after": 0.6}},
        "pick_up_seq_go_to_ricol": {0: {"before": 0.0, "after": 0.5}},
        "pick_up_seq_go_to_ppo": {0: {"before": 0.0, "after": 0.1}},
    }
    found = study.statistics(results)
    assert found["goto_ppo"].tolist() == pytest.approx([0.3, -0.1])
    assert found["goto_learns"].tolist() == pytest.approx([0.5, 0.2])
    assert found["pick_up_seq_go_to_ppo"].tolist() == pytest.approx([0.4])
    assert set(found) == {"goto_ppo", "goto_learns", "pick_up_seq_go_to_ppo"}
