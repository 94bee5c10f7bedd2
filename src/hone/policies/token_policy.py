"""Token policies: any Hugging Face causal language model, scored over a packed forest."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hone.core.errors import PolicyError
from hone.core.forest import Forest
from hone.core.problem import Prompt
from hone.core.trajectory import Tokens
from hone.kernels import forest_attention, forest_operator
from hone.kernels.forest_layout import Layout
from hone.kernels.logprobs import action_logprobs, selected_logprobs
from hone.kernels.transfer import to_device
from hone.policies import expanded, layers
from hone.policies.fusing import can_fuse

VALUE_HEAD = "value_head.safetensors"


@dataclass(frozen=True)
class Scores:
    """What one forward pass says of the `T` action tokens of a forest."""

    logprobs: Tensor  # [T] nats, at the sampling temperature
    entropy: Tensor | None = None  # [T] nats
    values: Tensor | None = None  # [T] predicted return before the token is chosen
    action_logprobs: Tensor | None = None  # [T, A] nats, of every action of the policy's action space


class TokenPolicy:
    """A causal LM with its tokenizer, a weight version, and a scoring pass that shares prefixes.

    `autocast` is the dtype of the forward pass where it differs from the weights'; weights stay as loaded.
    `shares_prefixes` says whether the architecture runs over the forest; if not, rollouts are expanded to padded
    rows and `note` says why. `recompute` trades time for memory: decoder layers keep only their inputs and compute the
    rest again in the backward pass. `compiled` says whether they run compiled; see `compile`.
    `repeatable` asks for gradients that are the same bit for bit every time; it is to be unset where another thread
    uses torch during the backward pass. `support` is the action space: the only tokens that it chooses from, one of
    which every action token is; empty, it is the whole vocabulary.
    """

    def __init__(self, model: nn.Module, tokenizer: Any, autocast: torch.dtype | None = None) -> None:
        self.model: Any = model
        self.tokenizer = tokenizer
        self.autocast = autocast
        self.version = 0
        self.value_head: nn.Linear | None = None
        self.note = ""
        self.compiled = False
        self.repeatable = True
        self.support: tuple[int, ...] = ()
        self._recompute = False
        forest_attention.register()
        reason = expanded.unsupported(model) or self._try_forest()
        self.shares_prefixes = not reason
        if reason:
            self.note = f"prompts are not shared in training: {reason}"

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = next(self.model.parameters()).device
        return device

    @property
    def recompute(self) -> bool:
        """Whether activations are recomputed in the backward pass; gradients are the same either way.

        Setting it raises PolicyError if the architecture does not say where its layers are.
        """
        return self._recompute

    @recompute.setter
    def recompute(self, wanted: bool) -> None:
        if wanted and not layers.decoder_layers(self.model):
            raise PolicyError(
                f"{type(self.model).__name__} does not mark its layers, so activations cannot be recomputed.",
                "Lower `max_tokens_per_microbatch` instead.",
            )
        self._recompute = wanted

    @property
    def fuses(self) -> bool:
        """Whether passes over the forest run norms and gates as single operations."""
        return self.autocast is None and not self.compiled and can_fuse(self.model)

    def compile(self, tokens: int = 4096) -> float:
        """Compile the decoder layers for scoring passes, by one pass over about `tokens` stored tokens.

        Returns the seconds it took. Passes of other sizes use the same code; sampling is left as it is. Raises
        PolicyError if they cannot be compiled, or if the compiled layers compute something else.
        """
        from hone.policies.compiling import compile_layers

        return compile_layers(self, tokens)

    @property
    def max_context(self) -> int:
        """The longest sequence the positions reach."""
        return int(getattr(self.model.config, "max_position_embeddings", 1 << 30))

    @property
    def end_tokens(self) -> frozenset[int]:
        """Tokens that end a completion."""
        config = getattr(self.model, "generation_config", None)
        ends = [self.tokenizer.eos_token_id, getattr(config, "eos_token_id", None)]
        flat = [e for end in ends for e in (end if isinstance(end, list | tuple) else [end])]
        return frozenset(int(e) for e in flat if e is not None)

    def parameters(self) -> list[nn.Parameter]:
        """Trainable tensors, the value head's included."""
        own = [p for p in self.model.parameters() if p.requires_grad]
        return own + (list(self.value_head.parameters()) if self.value_head is not None else [])

    def add_value_head(self) -> None:
        """A linear head on the last hidden state that starts at zero, so that values start unbiased by noise."""
        width = self.model.config.get_text_config().hidden_size
        self.value_head = nn.Linear(width, 1).to(self.device)
        nn.init.zeros_(self.value_head.weight)
        nn.init.zeros_(self.value_head.bias)

    def score(
        self, forest: Forest, temperature: float = 1.0, *, entropy: bool = False, values: bool = False
    ) -> Scores:
        """Logprobs (and entropies, values) of the action tokens of `forest`; differentiable."""
        with self._cast(self.autocast):
            hidden = self._hidden(forest, self.shares_prefixes)
        hidden = hidden.to(self.value_dtype)
        weight = self.model.get_output_embeddings().weight
        (tokens,) = to_device([forest.tokens[forest.action_index].numpy()], self.device)
        of_actions = None
        if self.support:
            chosen, of_actions = action_logprobs(hidden, weight, tokens, self.support, temperature)
            logprobs = chosen
            entropies = -(of_actions.exp() * of_actions).sum(-1) if entropy else None
        else:
            logprobs, entropies = selected_logprobs(hidden, weight, tokens, temperature, entropy)
        predicted = None
        if values:
            if self.value_head is None:
                raise PolicyError(
                    "Values were asked of a policy without a value head.", "Call add_value_head first."
                )
            predicted = self.value_head(hidden.to(self.value_head.weight.dtype))[:, 0]
        return Scores(logprobs, entropies, predicted, of_actions)

    @property
    def value_dtype(self) -> torch.dtype:
        """The dtype of the last hidden states: the autocast dtype, or the weights'."""
        dtype: torch.dtype = self.model.get_output_embeddings().weight.dtype
        return self.autocast or dtype

    def _hidden(self, forest: Forest, shared: bool) -> Tensor:
        """Last hidden states of the predictors of the action tokens, `[T, D]`, over the forest or over padded rows."""
        recompute = self.recompute and torch.is_grad_enabled()
        if not shared:
            with layers.running(self.model, self.compiled, recompute):
                return expanded.hidden(self.model, forest)
        layout = Layout(forest, self.device, self.repeatable)
        forest_operator.announce(layout)
        numbers = [x.numpy() for x in (forest.tokens, forest.positions, forest.predictor)]
        tokens, positions, predictor = to_device(numbers, self.device)
        with (
            layers.attention(self.model, forest_attention.NAME),
            layers.running(self.model, self.compiled, recompute, self.fuses),
        ):
            out = self.model.base_model(
                input_ids=tokens[None], position_ids=positions[None], use_cache=False, forest_layout=layout
            )
        hidden: Tensor = out.last_hidden_state[0]
        forest_operator.hold(hidden, layout)
        # The end of a prompt predicts the first token of its whole group. On a CPU the gradient of an index adds those
        # up in the order in which threads come, that of `index_select` in theirs; on a GPU it is the other way round.
        return hidden[predictor] if hidden.is_cuda else hidden.index_select(0, predictor)

    def _try_forest(self) -> str:
        """Compare the forest with padded rows on a tiny batch; the reason if it does not serve this architecture.

        Where passes run in another dtype than the weights', that is tried as well: it may take another kernel.
        """
        forest = expanded.probe(self.model.config.get_text_config().vocab_size)
        with torch.no_grad():
            expected = self._hidden(forest, shared=False).float()
            scale = float(expected.abs().max()) or 1.0
            for dtype in {None, self.autocast}:
                try:
                    with self._cast(dtype):
                        got = self._hidden(forest, shared=True).float()
                except (NotImplementedError, TypeError, ValueError) as error:
                    return str(error)
                worst = float((got - expected).abs().max()) / scale
                exact = dtype is None and self.model.dtype in (torch.float32, torch.float64)
                if not worst < (1e-3 if exact else 5e-2):  # not a number fails as well
                    return f"its hidden states differ by {worst:.1g} of their scale over the forest"
        return ""

    def _cast(self, dtype: torch.dtype | None) -> torch.autocast:
        """The context of forward passes in `dtype`; None is the weights' own."""
        return torch.autocast(self.device.type, dtype or torch.bfloat16, enabled=dtype is not None)

    def encode(self, prompt: Prompt) -> Tokens:
        """Tokens of a prompt: chat messages through the chat template, text with the tokenizer's own prefix."""
        if not isinstance(prompt, str):
            if not self.tokenizer.chat_template:
                raise PolicyError(
                    "The prompt is a list of chat messages, but the tokenizer has no chat template.",
                    "Use a chat model, or text prompts.",
                )
            text = self.tokenizer.apply_chat_template(
                list(prompt), tokenize=False, add_generation_prompt=True
            )
            ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        else:
            ids = self.tokenizer(prompt)["input_ids"]
            # Some tokenizers close a text with their end token; a prompt must stay open.
            while ids and ids[-1] in self.end_tokens:
                ids = ids[:-1]
        if not ids:
            raise PolicyError(
                "A prompt became no tokens at all.", "Give every problem a prompt that is not empty."
            )
        return np.asarray(ids, dtype=np.int32)

    def encode_text(self, text: str) -> Tokens:
        """Tokens of a piece of text inside a sequence: nothing before it, and no end."""
        return np.asarray(self.tokenizer(text, add_special_tokens=False)["input_ids"], dtype=np.int32)

    def encode_answer(self, text: str) -> Tokens:
        """Tokens of an answer, ended by the end token."""
        return np.append(self.encode_text(text), np.int32(self.tokenizer.eos_token_id))

    def decode(self, tokens: Tokens, stop: tuple[str, ...] = ()) -> str:
        """Text of action tokens, cut before the end token and before the first stop string."""
        size, ends = len(tokens), self.end_tokens
        while size and int(tokens[size - 1]) in ends:
            size -= 1
        # An array: of a list transformers asks every element what it is.
        text: str = self.tokenizer.decode(
            tokens[:size], skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        cuts = [at for s in stop if (at := text.find(s)) >= 0]
        return text[: min(cuts)] if cuts else text

    def save(self, folder: Path, dtype: torch.dtype | None = None) -> None:
        """Write the Hugging Face layout (and the value head beside it) into `folder`."""
        state = {
            k: v.detach().to("cpu", dtype or v.dtype).contiguous() for k, v in self.model.state_dict().items()
        }
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()
        self.model.save_pretrained(folder, state_dict=state, safe_serialization=True)
        if dtype is not None:
            self._record_dtype(folder, dtype)
        self.tokenizer.save_pretrained(folder)
        if self.value_head is not None:
            from safetensors.torch import save_file

            save_file(
                {k: v.detach().cpu() for k, v in self.value_head.state_dict().items()}, folder / VALUE_HEAD
            )

    @staticmethod
    def _record_dtype(folder: Path, dtype: torch.dtype) -> None:
        path = folder / "config.json"
        config = json.loads(path.read_text())
        config["dtype"] = str(dtype).removeprefix("torch.")
        path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
