"""Load a token policy by name: the embedded models, a local folder, or a Hugging Face name."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from hone.core.errors import PolicyError, nearest
from hone.core.lazy import torch
from hone.policies import shapes
from hone.policies.characters import character_tokenizer
from hone.policies.token_policy import VALUE_HEAD, TokenPolicy

SPROUT = Path(__file__).parent / "sprout"
FRESH = ("sprout:new", "micro:new")
EMBEDDED = ("sprout", *FRESH)
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle")


def resolve_device(name: str = "auto") -> torch.device:
    """`auto` is CUDA where there is one, else the CPU. Raises PolicyError for a device that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0]
        raise PolicyError(
            f"`device: {name}` cannot be used: {first}", "Use `auto`, `cpu` or `cuda`."
        ) from None
    return device


def resolve_autocast(dtype: str, device: torch.device) -> torch.dtype | None:
    """The dtype of forward passes: None is the weights' own float32. `auto` is bfloat16 where the chip has it."""
    if dtype == "float32":
        return None
    if dtype == "bfloat16":
        return torch.bfloat16
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else None
    capability = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    return torch.bfloat16 if capability() else None


def load_policy(
    name: str, *, device: str = "auto", dtype: str = "auto", seed: int = 0, trust_remote_code: bool = False
) -> TokenPolicy:
    """The policy called `name`, its weights in float32.

    `sprout` is the embedded model, `sprout:new` and `micro:new` are fresh ones drawn from `seed`, and so is a name that
    spells a shape (`qwen3:hidden=256,...`); anything else is a folder in Hugging Face layout or a name on the hub.
    Weights are read from safetensors alone, and code that comes with a model runs only with `trust_remote_code`.
    Raises PolicyError that says what is missing.
    """
    where = resolve_device(device)
    if name in FRESH:
        from hone.policies import embedded

        config = embedded.sprout_config() if name.startswith("sprout") else embedded.micro_config()
        built: tuple[Any, Any] = embedded.build(config, seed)
    elif shapes.spelled(name):
        built = shapes.build(name, seed)
    else:
        built = _load(str(SPROUT) if name == "sprout" else name, trust_remote_code)
    model, tokenizer = built
    policy = TokenPolicy(model.to(where), tokenizer, resolve_autocast(dtype, where))
    head = Path(name) / VALUE_HEAD
    if head.is_file():
        from safetensors.torch import load_file

        policy.add_value_head()
        assert policy.value_head is not None
        policy.value_head.load_state_dict(load_file(head))
    return policy


def load_tokenizer(name: str, trust_remote_code: bool = False) -> Any:
    """The tokenizer of the policy called `name`, without its weights. Raises PolicyError as `load_policy` does."""
    if name in FRESH:
        return character_tokenizer()
    if shapes.spelled(name):
        return shapes.tokenizer(name)
    name = str(SPROUT) if name == "sprout" else name
    folder = Path(name)
    looks_local = name.startswith((".", "/", "~")) or folder.exists()
    if looks_local:
        _check_folder(folder)
    from transformers import AutoTokenizer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    try:
        return AutoTokenizer.from_pretrained(name, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _explain(name, "tokenizer", error) from None


def _load(name: str, trust: bool) -> tuple[Any, Any]:
    """Model and tokenizer from a folder or the hub."""
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer = load_tokenizer(name, trust)
    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=trust)
        weights = str(getattr(config, "transformers_weights", None) or "model.safetensors")
        if not weights.endswith((".safetensors", ".safetensors.index.json")):
            raise PolicyError(
                f"The configuration of `{name}` names `{weights}` as its weights, which is no safetensors file.",
                "Take `transformers_weights` out of config.json, or name a safetensors file there.",
            )
        model = AutoModelForCausalLM.from_pretrained(
            name, config=config, dtype=torch.float32, use_safetensors=True, trust_remote_code=trust
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise _explain(name, "model", error) from None
    if tokenizer.eos_token_id is None:
        raise PolicyError(
            f"The tokenizer of `{name}` has no end token.", "Set `eos_token` in its tokenizer config."
        )
    return model.eval(), tokenizer


def _check_folder(folder: Path) -> None:
    """Raise PolicyError unless `folder` holds a model and a tokenizer."""
    if not folder.is_dir():
        raise PolicyError(f"`model: {folder}` is not a folder.", "Give a folder in Hugging Face layout.")
    if not (folder / "config.json").is_file():
        final = folder / "final" / "config.json"
        hint = (
            f"This is a run folder; its model is `{folder}/final`."
            if final.is_file()
            else "It needs config.json."
        )
        raise PolicyError(f"`model: {folder}` holds no model.", hint)
    names = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json")
    if not any((folder / n).is_file() for n in names):
        raise PolicyError(
            f"`model: {folder}` has no tokenizer (none of {', '.join(names)}).",
            "Save the model's tokenizer into the folder with `tokenizer.save_pretrained`.",
        )
    if (folder / "adapter_config.json").is_file():
        raise PolicyError(
            f"`model: {folder}` holds an adapter, which would be loaded beside the model.",
            "Merge it into the model with `merge_and_unload`, and save the result.",
        )
    pickled = sorted(p.name for pattern in PICKLED for p in folder.glob(pattern))
    if pickled and not any(folder.glob("*.safetensors")):
        raise PolicyError(
            f"`model: {folder}` has its weights in {pickled[0]} alone, a pickle file, which can run code when it is "
            "opened.",
            'Where you trust its source, convert it once: `python -c "from transformers import AutoModelForCausalLM '
            f"as M; M.from_pretrained('{folder}').save_pretrained('{folder}')\"`.",
        )


def _explain(name: str, part: str, error: Exception) -> PolicyError:
    """One paragraph from what transformers raised."""
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if "trust_remote_code" in str(error):
        return PolicyError(
            f"The {part} of `{name}` comes with code of its own, which would run here: {first}",
            "Read that code; if you trust it, set `trust_remote_code=true`.",
        )
    hint = (
        nearest(name, EMBEDDED) if "/" not in name else "Check the name, the network and your access to it."
    )
    return PolicyError(f"The {part} of `{name}` cannot be loaded: {first}", hint)
