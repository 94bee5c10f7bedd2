"""No pickle is opened anywhere: not by the source, not by a run whose folder holds some, not by an evaluation."""

from __future__ import annotations

import ast
from pathlib import Path

import hone
from hone import report
from policies.test_loading import plant

SOURCE = Path(hone.__file__).parent
MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
# (what it is called on, name): `torch.load`, `numpy.load`, and readers of yaml that make objects
CALLS = {("torch", "load"), ("np", "load"), ("numpy", "load"), ("pd", "read_pickle"), ("yaml", "unsafe_load"),
         ("yaml", "full_load"), ("torch", "jit")}  # fmt: skip


def loads(tree: ast.AST) -> list[str]:
    """Everything in a module that could open a pickle."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.partition(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{a.name}" for a in node.names}
            found += [n for n in names if n.partition(".")[0] in MODULES or n in ("torch.load", "numpy.load")]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if (node.value.id, node.attr) in CALLS:
                found.append(f"{node.value.id}.{node.attr}")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if (
                node.func.attr == "recv" and not node.args
            ):  # a multiprocessing connection unpickles what it reads
                found.append("recv")
        elif isinstance(node, ast.keyword) and node.arg in ("allow_pickle", "weights_only"):
            found.append(node.arg)
    return found


def test_the_search_finds_what_it_looks_for():
    bad = "import pickle\nfrom torch import load\ntorch.load('x', weights_only=False)\nfrom dill import loads\na.recv()"
    found = ["dill.loads", "pickle", "recv", "torch.load", "torch.load", "weights_only"]
    assert sorted(loads(ast.parse(bad))) == found


def test_no_module_opens_pickles():
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCE.rglob("*.py")}
    assert len(trees) > 100
    assert {path.name: found for path, tree in trees.items() if (found := loads(tree))} == {}


def test_a_run_whose_folders_hold_pickles_opens_none(tmp_path):
    recipe = {
        "task": {"name": "maze", "sizes": 5}, "model": "micro:new", "num_generations": 2, "problems_per_step": 2,
        "max_completion_length": 4, "eval": {"problems": 2, "samples": 1, "k": [1]},
    }  # fmt: skip
    marker = tmp_path / "marker"
    run = hone.train({**recipe, "steps": 1}, out=tmp_path / "run")
    for folder in (run.path, run.final, run.path / "checkpoints" / "000001"):
        plant(folder, marker)
    resumed = hone.train({**recipe, "steps": 2}, out=tmp_path / "run", resume=True)
    assert len(resumed.metrics()) == 2
    hone.evaluate(run.path, recipe["task"], k=[1], problems=1, samples=1)
    report.build([run.path])
    again = hone.train({**recipe, "steps": 1, "model": str(run.final)}, out=tmp_path / "next")
    assert again.final.is_dir()
    assert not marker.exists()
