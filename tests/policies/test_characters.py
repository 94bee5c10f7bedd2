"""The character tokenizer: exact round trips, before and after saving."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hone.policies.characters import CHARACTERS, VOCABULARY, character_tokenizer


@pytest.fixture(scope="module", params=["built", "loaded"], name="tokenizer")
def _tokenizer(request, tmp_path_factory):
    built = character_tokenizer()
    if request.param == "built":
        return built
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("tokenizer")
    built.save_pretrained(folder)
    # AutoTokenizer asks for a model type only where the tokenizer files do not say enough
    return AutoTokenizer.from_pretrained(folder)


@given(text=st.text(alphabet="".join(CHARACTERS), max_size=80))
@settings(max_examples=150, deadline=None)
def test_round_trip_is_exact(tokenizer, text):
    ids = tokenizer.encode(text)
    assert len(ids) == len(text)
    assert tokenizer.decode(ids) == text


def test_awkward_texts(tokenizer):
    for text in ["", " ", "\n\n ", " a , b . don 't !", "<eos><pad>", "#.S\n.#G\n>", "".join(CHARACTERS)]:
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_ids(tokenizer):
    assert len(tokenizer) == len(VOCABULARY) == 100
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.bos_token_id) == (0, 1, 2)
    assert tokenizer.encode("é\t") == [3, 3]
    assert tokenizer.decode([*tokenizer.encode("UD"), 1, 0], skip_special_tokens=True) == "UD"
    assert tokenizer.convert_ids_to_tokens(list(range(100))) == list(VOCABULARY)
