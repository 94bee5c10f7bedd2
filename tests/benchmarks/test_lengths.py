"""Both sides of the comparison with TRL sample exactly the scheduled lengths, from equal weights."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
import torch

from hone.policies import shapes
from hone.training.bench.workload import Workload

FOLDER = str(Path(__file__).parents[2] / "benchmarks")
MICRO = "qwen3:hidden=32,layers=1,heads=2,kv_heads=1,head_dim=16,ffn=32,vocab=98"
SCRIPTS = ("lengths", "machine", "trl_side", "versus_trl")
WORK = Workload(
    MICRO, problems=2, generations=4, prompt=6, completion=8, lengths="realistic", max_tokens=30, device="cpu"
)


@pytest.fixture
def scripts(monkeypatch):
    """The scripts as they are when one of them is run: their folder comes first, and only here."""
    monkeypatch.syspath_prepend(FOLDER)
    yield {name: importlib.import_module(name) for name in SCRIPTS}
    for name in SCRIPTS:
        sys.modules.pop(name, None)


def test_generate_keeps_to_a_length_for_each_row(scripts):
    model, tokenizer = shapes.build(MICRO, seed=0)
    lengths = [1, 5, 3, 5]
    scripts["lengths"].force(model, lengths, tokenizer.eos_token_id)
    ids = torch.full((4, 3), 40)
    options = {"do_sample": True, "max_new_tokens": 6, "pad_token_id": tokenizer.pad_token_id}
    for _ in range(2):  # the places are counted anew in every call
        out = model.generate(ids, eos_token_id=tokenizer.eos_token_id, **options)[:, 3:]
        ends = (out == tokenizer.eos_token_id).int()
        assert ends.sum(1).tolist() == [1, 1, 1, 1]
        assert (ends.argmax(1) + 1).tolist() == lengths


def test_both_sides_do_the_same_work(scripts):
    pytest.importorskip("trl")
    versus = scripts["versus_trl"]
    assert versus.rows_of_a_pass(WORK) == 2  # 2 × 14 tokens of at most 30, and not 3: they must divide 8
    found = versus.measure(WORK, 1, "generate")  # raises where weights, lengths or steps differ
    assert found["trl"]["tokens"] == found["hone"]["tokens"] == sum(WORK.schedule())
    assert found["trl"]["grad_norm"] > 0
    assert found["ratio"]["median"] == found["trl"]["seconds"]["median"] / found["hone"]["seconds"]["median"]
    assert found["trl"]["seconds"]["median"] > found["trl"]["sampling"]["median"] > 0
    assert len(versus.cells("case", "float32", "generate", found)) == len(versus.COLUMNS)


def test_work_that_differs_is_an_error(scripts, tmp_path):
    pytest.importorskip("trl")
    versus = scripts["versus_trl"]
    bench = versus.Bench(WORK, tmp_path)
    other = scripts["trl_side"].TrlSide(WORK, tmp_path / "trl", 1, paged=False)
    versus.same_weights(bench, other)
    with torch.no_grad():
        other.model.model.norm.weight[0] += 1
    with pytest.raises(versus.Mismatch, match=r"model\.norm\.weight"):
        versus.same_weights(bench, other)
    other.lengths = [WORK.schedule()[::-1]]
    with pytest.raises(versus.Mismatch, match="other lengths"):
        versus.same_tokens(WORK, [bench.step()], other)


def test_hone_can_be_measured_alone(scripts, capsys, monkeypatch, tmp_path):
    versus, file = scripts["versus_trl"], tmp_path / "figures.json"
    monkeypatch.setattr(versus, "missing", lambda: "TRL cannot be imported (gone).")
    monkeypatch.setitem(versus.CASES["cpu"], "small", WORK)
    words = ["versus_trl.py", "--cases", "small", "--device", "cpu", "--model", MICRO, "--rounds", "1"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit):
        versus.main()
    assert "TRL cannot be imported" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", [*words, "--hone-only", "--dtypes", "float32", "--json", str(file)])
    versus.main()
    shown = capsys.readouterr().out
    assert f"| {sum(WORK.schedule()):,} |" in shown
    assert '"trl"' in file.read_text()
