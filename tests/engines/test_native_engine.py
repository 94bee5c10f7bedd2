"""The native engine against full forward passes and against the transformers engine, on every family."""

from __future__ import annotations

import copy
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

from engines.engine_models import (
    FAMILIES,
    Policy,
    check_greedy,
    forward_logits,
    make_model,
    policy,
    request,
    tokens_of,
)
from hone.core.errors import EngineError
from hone.core.sampling import Completion, SampleRequest
from hone.engines import NativeEngine, TransformersEngine, choose, unsupported
from hone.engines.attention import length_buckets

MIXED = [
    request("abc", n=5, max_tokens=12, path=(0,)),
    request("defghij.0 abcdefgh", n=3, max_tokens=20, path=(1,)),
    request("a", n=4, max_tokens=6, path=(2,), temperature=0.7),
    request("jihgfedcba 0.abcd", n=4, max_tokens=10, path=(4,)),  # shares a padded block with the longer one
    request("abc", n=2, max_tokens=9, path=(3,), stop=("a", "bc")),
]


def check_logprobs(subject: Policy, requests: list[SampleRequest], results: list[list[Completion]]) -> float:
    """The largest difference from a full forward pass."""
    worst = 0.0
    for asked, group in zip(requests, results):
        assert len(group) == asked.n
        for c in group:
            logits = forward_logits(subject.model, asked.prefix, c) / asked.params.temperature
            index = torch.from_numpy(c.tokens.astype(np.int64))[:, None]
            expected = logits.log_softmax(-1).gather(1, index)[:, 0]
            worst = max(worst, float((expected - torch.from_numpy(c.logprobs)).abs().max()))
    return worst


@pytest.mark.parametrize("family", FAMILIES)
def test_logprobs_equal_a_full_forward_pass(family: str) -> None:
    subject = policy(family)
    assert check_logprobs(subject, MIXED, NativeEngine(subject).run(MIXED)) < 1e-4


@pytest.mark.parametrize("family", FAMILIES)
def test_tokens_equal_the_transformers_engine(family: str) -> None:
    subject = policy(family, torch.float64)
    native, reference = NativeEngine(subject).run(MIXED), TransformersEngine(subject).run(MIXED)
    assert tokens_of(native) == tokens_of(reference)
    for a, b in zip(chain(*native), chain(*reference)):
        np.testing.assert_allclose(a.logprobs, b.logprobs, atol=1e-5)
        assert a.finish_reason == b.finish_reason
    lengths = {len(c.tokens) for c in chain(*native)}
    assert len(lengths) > 3  # rollouts ended at different times


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_tokens_equal_transformers_up_to_near_ties(family: str) -> None:
    subject = policy(family)
    asked = [
        request(p, n=1, max_tokens=24, path=(i,), temperature=0.0) for i, p in enumerate(("abc", "jih", "0"))
    ]
    native, reference = NativeEngine(subject).run(asked), TransformersEngine(subject).run(asked)
    check_greedy(subject, asked, native, reference, tie=1e-4)


@pytest.mark.parametrize(
    "options", [{"max_slots": 1}, {"max_slots": 3}, {"chunk": 4}, {"max_slots": 5, "chunk": 3}]
)
def test_few_slots_and_long_chunks_sample_the_same_tokens(options: dict) -> None:
    subject = policy("qwen2", torch.float64)
    assert tokens_of(NativeEngine(subject, **options).run(MIXED)) == tokens_of(
        NativeEngine(subject).run(MIXED)
    )
    assert check_logprobs(subject, MIXED, NativeEngine(subject, **options).run(MIXED)) < 1e-4


def test_shared_prefix_equals_separate_prefill() -> None:
    subject = policy(dtype=torch.float64)
    together = NativeEngine(subject).run(MIXED)
    alone = [NativeEngine(subject).run([r])[0] for r in MIXED]
    assert tokens_of(together) == tokens_of(alone)
    backwards = NativeEngine(subject).run(MIXED[::-1])[::-1]
    assert tokens_of(together) == tokens_of(backwards)


def test_prefixes_are_computed_once_until_refresh(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = policy()
    engine = NativeEngine(subject)
    computed: list[int] = []
    prefill = engine._model.prefill
    monkeypatch.setattr(engine._model, "prefill", lambda p: computed.append(len(p)) or prefill(p))
    first = engine.run(MIXED)
    assert sum(computed) == 4  # of five requests two share a prefix
    assert tokens_of(engine.run(MIXED)) == tokens_of(first)
    assert sum(computed) == 4
    engine.refresh()
    engine.run(MIXED)
    assert sum(computed) == 8


def test_store_drops_the_oldest_prefixes_and_computes_them_again(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = policy(dtype=torch.float64)
    many = [request("abcdefghij"[i:] + "0" * i, n=2, max_tokens=6, path=(i,)) for i in range(9)]
    plain = NativeEngine(subject).run(many)
    monkeypatch.setattr("hone.engines.decoding.PREFILL_TOKENS", 15)
    engine = NativeEngine(subject, max_slots=3)
    engine._store._budget = 1
    assert tokens_of(engine.run(many)) == tokens_of(plain)
    assert len(engine._store._blocks) < 4


def test_weights_are_read_in_place() -> None:
    subject = policy("qwen2")
    parameters = dict(subject.model.named_parameters())
    state = {k: v.clone() for k, v in subject.model.state_dict().items()}
    engine = NativeEngine(subject)
    assert dict(subject.model.named_parameters()).keys() == parameters.keys()
    assert all(p is parameters[k] for k, p in subject.model.named_parameters())
    assert all(torch.equal(v, state[k]) for k, v in subject.model.state_dict().items())

    before = tokens_of(engine.run(MIXED))
    optimizer = torch.optim.AdamW(subject.model.parameters(), lr=0.05)
    subject.model(torch.tensor([[2, 3, 4]]), labels=torch.tensor([[2, 3, 4]])).loss.backward()
    optimizer.step()
    engine.refresh()
    after = engine.run(MIXED)
    assert check_logprobs(subject, MIXED, after) < 1e-4
    assert tokens_of(after) != before

    subject.model.load_state_dict(state)
    engine.refresh()
    assert tokens_of(engine.run(MIXED)) == before

    subject.model.double()  # gives every parameter a storage of its own
    engine.refresh()
    assert check_logprobs(subject, MIXED, engine.run(MIXED)) < 1e-5


def test_fused_models_are_copied_and_saved_whole(tmp_path: Path) -> None:
    subject = policy("qwen3")
    NativeEngine(subject)
    subject.model.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    twin = copy.deepcopy(subject.model)
    for other in (loaded, twin):
        assert all(torch.equal(v, other.state_dict()[k]) for k, v in subject.model.state_dict().items())
    size = sum(f.stat().st_size for f in tmp_path.glob("*.safetensors"))
    assert size < 1.5 * sum(p.nbytes for p in subject.model.parameters()) + 8192
    with torch.no_grad():
        next(twin.parameters()).zero_()
        twin.model.layers[0].self_attn.q_proj.weight.zero_()
    assert subject.model.model.layers[0].self_attn.q_proj.weight.any()


def test_weights_that_are_not_finite_stop_the_run() -> None:
    subject = policy()
    with torch.no_grad():
        subject.model.model.norm.weight[0] = torch.nan
    for engine in (NativeEngine(subject), TransformersEngine(subject)):
        for temperature in (0.0, 1.0):
            with pytest.raises(EngineError, match="not finite"):
                engine.run([request("abc", temperature=temperature)])


def test_unsupported_models_fall_back_and_say_so() -> None:
    other = GPT2LMHeadModel(
        GPT2Config(vocab_size=16, n_embd=16, n_layer=1, n_head=2, n_positions=32, eos_token_id=1)
    )
    engine, note = choose(Policy(other))
    assert engine.name == "transformers"
    assert "gpt2" in note
    asked = [request("abc", n=3), request("defgh", n=3, path=(1,))]
    assert check_logprobs(Policy(other), asked, engine.run(asked)) < 1e-4
    with pytest.raises(EngineError, match="gpt2"):
        choose(Policy(other), "native")
    with pytest.raises(EngineError, match="Did you mean `native`"):
        choose(Policy(other), "nativ")
    assert choose(policy())[0].name == "native"
    assert choose(policy())[1] == ""
    assert choose(policy(), "transformers")[0].name == "transformers"
    assert "sliding" in str(unsupported(make_model("mistral", sliding_window=16)))
    half = make_model()
    half.model.norm.half()
    assert "dtypes" in str(unsupported(half))


def test_buckets_hold_every_item_once_with_little_padding() -> None:
    lengths = np.random.default_rng(0).integers(1, 300, 200)
    buckets = length_buckets(lengths.tolist())
    assert sorted(chain(*buckets)) == list(range(200))
    padded = sum(len(b) * lengths[b].max() for b in buckets)
    assert padded <= lengths.sum() / 0.75
    assert len(buckets) < 25
