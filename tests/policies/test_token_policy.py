from __future__ import annotations

import os

import numpy as np
import pytest
import torch

from builders import CharTokenizer, deep_tree, groups_of, tiny_model
from hone.core.errors import PolicyError
from hone.core.forest import pack
from hone.policies import expanded
from hone.policies.loading import load_policy
from hone.policies.token_policy import TokenPolicy


@pytest.mark.parametrize("kind", ["qwen3", "llama"])
def test_shared_scores_equal_expanded_ones(kind: str):
    policy = TokenPolicy(tiny_model(kind), CharTokenizer())
    assert policy.shares_prefixes
    forest = pack(deep_tree())
    shared = policy.score(forest, 0.7, entropy=True)
    policy.shares_prefixes = False
    rows = policy.score(forest, 0.7, entropy=True)
    torch.testing.assert_close(shared.logprobs, rows.logprobs, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(shared.entropy, rows.entropy, rtol=1e-5, atol=1e-4)


@pytest.mark.skipif(os.cpu_count() == 1, reason="there is one thread anyway")
def test_gradients_repeat_to_the_bit_on_two_threads():
    policy = TokenPolicy(tiny_model("qwen3"), CharTokenizer())
    forest = pack(groups_of([5], [[9] * 400]))  # 400 first tokens hang on one hidden state
    threads, found = torch.get_num_threads(), set()
    torch.set_num_threads(2)
    try:
        for _ in range(20):
            policy.model.zero_grad()
            policy.score(forest).logprobs.sum().backward()
            found.add(b"".join(p.grad.numpy().tobytes() for p in policy.parameters()))
    finally:
        torch.set_num_threads(threads)
    assert len(found) == 1


def test_an_architecture_that_cannot_share_is_expanded_and_says_so():
    model = tiny_model("mistral")
    for layer in model.model.layers:  # a window that forest attention does not compute
        layer.self_attn.config.sliding_window = 3
    policy = TokenPolicy(model, CharTokenizer())
    assert not policy.shares_prefixes
    assert "sliding_window" in policy.note
    forest = pack(groups_of([4, 6], [[3, 1], [2]]))
    ids, mask, _ = expanded.rows(forest)
    logits = policy.model(input_ids=ids, attention_mask=mask).logits.log_softmax(-1)
    first = logits[0, 3:6].gather(-1, ids[0, 4:7, None])[:, 0]
    torch.testing.assert_close(policy.score(forest).logprobs[:3], first, rtol=1e-4, atol=1e-4)


def test_a_wrong_forest_pass_is_noticed(monkeypatch: pytest.MonkeyPatch):
    """The self-test at load compares hidden states; a kernel that answers wrongly must not be believed."""
    from hone.kernels import forest_attention

    right = forest_attention.forest_attention
    monkeypatch.setattr(forest_attention, "forest_attention", lambda *a: right(*a) * 1.5)
    policy = TokenPolicy(tiny_model("qwen3"), CharTokenizer())
    assert not policy.shares_prefixes
    assert "differ" in policy.note


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_passes_in_bfloat16_share_prefixes_by_flash_attention():
    from hone.kernels import forest_flash

    policy = load_policy("micro:new", device="cuda")
    assert policy.autocast == torch.bfloat16
    assert policy.shares_prefixes, policy.note
    assert forest_flash.serves(torch.empty(1, 2, 16, dtype=torch.bfloat16, device="cuda"))
    forest = pack(deep_tree())
    logprobs = policy.score(forest).logprobs
    expected = load_policy("micro:new", device="cpu", dtype="float32").score(forest).logprobs
    torch.testing.assert_close(logprobs.detach().cpu(), expected.detach(), rtol=0, atol=0.1)

    def gradient() -> torch.Tensor:
        grads = torch.autograd.grad(policy.score(forest).logprobs.sum(), policy.parameters())
        return torch.cat([g.flatten() for g in grads])

    plain = gradient()
    assert torch.equal(plain, gradient())
    policy.recompute = True
    assert torch.equal(plain, gradient())


def test_save_and_load_keep_every_weight(tmp_path):
    policy = load_policy("micro:new", seed=3)
    policy.add_value_head()
    policy.save(tmp_path)
    again = load_policy(str(tmp_path))
    assert again.value_head is not None
    for (name, a), (_, b) in zip(policy.model.named_parameters(), again.model.named_parameters()):
        assert torch.equal(a, b), name
    forest = pack(groups_of([4], [[3, 2]]))
    assert torch.equal(policy.score(forest).logprobs, again.score(forest).logprobs)

    from transformers import AutoModelForCausalLM, AutoTokenizer

    plain = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert plain.config.model_type == "qwen3"
    assert AutoTokenizer.from_pretrained(tmp_path).decode([40, 41]) == policy.tokenizer.decode([40, 41])


def test_prompts_stay_open_and_answers_are_closed():
    policy = load_policy("micro:new")
    prompt = policy.encode("ab>")
    answer = policy.encode_answer("UD")
    assert prompt[-1] not in policy.end_tokens
    assert answer[-1] in policy.end_tokens
    assert policy.decode(answer) == "UD"
    assert policy.decode(answer, stop=("D",)) == "U"
    with pytest.raises(PolicyError, match="chat template"):
        policy.encode(({"role": "user", "content": "hi"},))


def test_chat_messages_go_through_the_template():
    policy = load_policy("micro:new")
    policy.tokenizer.chat_template = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}:"
    tokens = policy.encode(({"role": "user", "content": "hi"},))
    assert policy.decode(np.asarray(tokens)) == "<user>hi:"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda d: d / "nowhere", "not a folder"),
        (lambda d: d, "holds no model"),
        (lambda d: ((d / "config.json").write_text("{}"), d)[1], "no tokenizer"),
    ],
)
def test_folders_that_are_no_models_say_why(tmp_path, make, message: str):
    with pytest.raises(PolicyError, match=message):
        load_policy(str(make(tmp_path)))
