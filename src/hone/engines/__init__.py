"""How text is sampled: the native engine for the Llama family, and transformers' own `generate` for everything."""

from __future__ import annotations

from hone.core.errors import EngineError, nearest
from hone.core.sampling import Engine, SampledPolicy
from hone.engines.native import NativeEngine
from hone.engines.native_model import unsupported
from hone.engines.transformers_engine import TransformersEngine

__all__ = ["NativeEngine", "TransformersEngine", "choose", "unsupported"]

ENGINES = ("auto", "native", "transformers")


def choose(policy: SampledPolicy, name: str = "auto") -> tuple[Engine, str]:
    """The engine for `policy`, and a sentence to show the user ('' if there is nothing to say).

    `auto` takes the native engine where it can serve the model, and says why where it cannot.
    Raises EngineError if `native` is asked for and cannot, or for an unknown name.
    """
    if name not in ENGINES:
        raise EngineError(f"There is no engine `{name}`.", nearest(name, ENGINES))
    if name == "transformers":
        return TransformersEngine(policy), ""
    reason = unsupported(policy.model)
    if name == "auto" and reason is not None:
        return TransformersEngine(
            policy
        ), f"Sampling with transformers' generate, not the native engine: {reason}."
    engine = NativeEngine(policy)
    return engine, engine.note
