"""Weights come from safetensors alone, and code that comes with a model runs only if it was asked for."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from hone.core.errors import PolicyError
from hone.policies.loading import load_policy


class Bomb:
    """A pickle that writes a file when it is opened."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return Path.write_text, (self.marker, "it ran")


PICKLES = (
    "pytorch_model.bin", "training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth", "model.pkl",
    "adapter_model.bin", "value_head.bin", "trainer_state.pkl",
)  # fmt: skip


def plant(folder: Path, marker: Path, names: tuple[str, ...] = PICKLES) -> None:
    for name in names:
        (folder / name).write_bytes(pickle.dumps(Bomb(marker)))


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    load_policy("micro:new").save(folder)
    return folder


@pytest.fixture
def model(saved, tmp_path) -> Path:
    import shutil

    return Path(shutil.copytree(saved, tmp_path / "model"))


def test_the_bomb_is_one(tmp_path):
    """What the other tests show not to happen happens where a pickle is opened."""
    pickle.loads(pickle.dumps(Bomb(tmp_path / "marker")))
    assert (tmp_path / "marker").exists()


def test_pickles_beside_the_weights_are_never_opened(model, tmp_path):
    plant(model, tmp_path / "marker")
    load_policy(str(model))
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pth", "weights.pkl"])
def test_weights_in_a_pickle_alone_are_refused_with_the_mend(model, tmp_path, name: str):
    (model / "model.safetensors").unlink()
    plant(model, tmp_path / "marker", (name,))
    with pytest.raises(PolicyError, match=rf"{name} alone, a pickle file(.|\n)*convert it once"):
        load_policy(str(model))
    assert not (tmp_path / "marker").exists()


def test_a_configuration_cannot_name_a_pickle_as_the_weights(model, tmp_path):
    plant(model, tmp_path / "marker", ("adapter_model.bin",))
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"transformers_weights": "adapter_model.bin"}))
    with pytest.raises(PolicyError, match="no safetensors file"):
        load_policy(str(model))
    assert not (tmp_path / "marker").exists()


def test_an_adapter_is_not_loaded_on_the_side(model):
    (model / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    with pytest.raises(PolicyError, match="holds an adapter"):
        load_policy(str(model))


def test_a_torn_weight_file_is_an_error_of_one_sentence(model):
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(PolicyError, match="cannot be loaded"):
        load_policy(str(model))


CODE = """
from pathlib import Path
from transformers import Qwen3Config, Qwen3ForCausalLM

Path({marker!r}).write_text("it ran")


class MineConfig(Qwen3Config):
    model_type = "mine"


class Mine(Qwen3ForCausalLM):
    config_class = MineConfig
"""


def test_code_that_comes_with_a_model_runs_only_if_asked_for(model, tmp_path, monkeypatch):
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    marker = tmp_path / "marker"
    (model / "mine.py").write_text(CODE.format(marker=str(marker)))
    config = json.loads((model / "config.json").read_text())
    names = {"AutoConfig": "mine.MineConfig", "AutoModelForCausalLM": "mine.Mine"}
    (model / "config.json").write_text(json.dumps(config | {"model_type": "mine", "auto_map": names}))
    with pytest.raises(PolicyError, match=r"code of its own(.|\n)*trust_remote_code=true"):
        load_policy(str(model))
    assert not marker.exists()
    assert type(load_policy(str(model), trust_remote_code=True).model).__name__ == "Mine"
    assert marker.exists()
