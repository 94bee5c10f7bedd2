from __future__ import annotations

import pytest

import hone
from hone.policies.token_policy import TokenPolicy
from hone.recipes.load import resolve
from hone.training.progress import Quiet
from hone.training.resume import identity

TINY = {
    "task": {"name": "maze", "sizes": 5},
    "model": "micro:new",
    "num_generations": 4,
    "problems_per_step": 2,
    "max_completion_length": 6,
    "eval": {"problems": 2, "samples": 2, "k": [1]},
}


class Notes(Quiet):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)


@pytest.mark.parametrize(("keys", "models"), [({}, 1), ({"kl": {"name": "loss", "beta": 0.1}}, 2)])
def test_the_time_of_compiling_is_told_and_recorded_with_the_first_step(
    keys: dict, models: int, tmp_path, monkeypatch: pytest.MonkeyPatch
):
    sizes = []
    monkeypatch.setattr(TokenPolicy, "compile", lambda self, tokens: sizes.append(tokens) or 2.5)
    notes = Notes()
    run = hone.train(TINY | keys, steps=2, compile=True, out=tmp_path / "run", progress=notes)
    assert sizes == [2 * 4 * 6] * models  # of what a pass of training holds
    first, second = run.metrics()
    assert first["time/compile"] == 2.5 * models
    assert "time/compile" not in second
    assert any("compiling" in text for text in notes.texts)


def test_whether_layers_are_compiled_belongs_to_what_decides_a_runs_numbers():
    plain, compiled = (resolve(TINY | {"compile": wanted})[0] for wanted in (False, True))
    assert identity(plain) != identity(compiled)
    assert identity(plain) == identity(resolve(TINY)[0])
