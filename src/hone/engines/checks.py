"""What every engine asks of a request before it samples, and what it reads of a policy to do so."""

from __future__ import annotations

from hone.core.errors import EngineError
from hone.core.sampling import SampledPolicy, SampleRequest


def end_tokens(policy: SampledPolicy) -> tuple[int, ...]:
    """Tokens that end a completion: the tokenizer's end token and those of the model's generation settings."""
    found: set[int] = set()
    settings = getattr(policy.model, "generation_config", None)
    for value in (policy.tokenizer.eos_token_id, getattr(settings, "eos_token_id", None)):
        if value is not None:
            found.update([value] if isinstance(value, int) else value)
    return tuple(sorted(found))


def check_request(request: SampleRequest, policy: SampledPolicy, refreshed: int) -> None:
    """Raise EngineError for a request that cannot be served from the weights of version `refreshed`."""
    if policy.version != refreshed:
        raise EngineError(
            f"The policy's weights are at version {policy.version}, the engine's at {refreshed}.",
            "Call `refresh()` after the weights have changed and before sampling.",
        )
    if request.n < 1:
        raise EngineError(f"A request asks for n={request.n} completions.", "Ask for at least one.")
    if len(request.prefix) == 0:
        raise EngineError(
            "A request has an empty prefix: nothing predicts its first token.",
            "Give it at least one token, such as the tokenizer's start token.",
        )
    config = policy.model.config.get_text_config()
    low, high = int(request.prefix.min()), int(request.prefix.max())
    if low < 0 or high >= config.vocab_size:
        raise EngineError(
            f"A prefix holds token {low if low < 0 else high}, outside the model's vocabulary of {config.vocab_size}.",
            "Encode prompts with the tokenizer that belongs to the model.",
        )
    if "" in request.params.stop:
        raise EngineError("`stop` holds an empty string, which every text contains.", "Remove it.")
    limit = getattr(config, "max_position_embeddings", None)
    size = len(request.prefix)
    if limit is not None and size + request.params.max_tokens > limit:
        raise EngineError(
            f"A prefix of {size} tokens with max_tokens={request.params.max_tokens} needs a context of "
            f"{size + request.params.max_tokens}, but the model's ends at {limit}.",
            f"Lower `max_completion_length` to {limit - size} or less, or give it shorter prompts."
            if size < limit
            else "Give it shorter prompts, or take a model with a longer context.",
        )
