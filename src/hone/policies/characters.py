"""The character-level tokenizer of the embedded models: a token per printable ASCII character and newline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, EOS, BOS, UNK = "<pad>", "<eos>", "<bos>", "<unk>"
SPECIAL = (PAD, EOS, BOS, UNK)
CHARACTERS = ("\n", *(chr(code) for code in range(32, 127)))
VOCABULARY = (*SPECIAL, *CHARACTERS)  # a token's id is its place here: 100 tokens


def character_tokenizer(vocabulary: Sequence[str] = VOCABULARY) -> PreTrainedTokenizerFast:
    """A tokenizer of `vocabulary`: the four special tokens, then single characters.

    `decode(encode(x))` is x for every text of these characters. No token is added on encoding, no text is cleaned
    up on decoding, any other character becomes `<unk>`, and the names of special tokens inside a text are read as
    plain characters. What `save_pretrained` writes is read back by plain `AutoTokenizer.from_pretrained`.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.WordLevel({token: i for i, token in enumerate(vocabulary)}, unk_token=UNK))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    backend.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD,
        eos_token=EOS,
        bos_token=BOS,
        unk_token=UNK,
        clean_up_tokenization_spaces=False,
        split_special_tokens=True,
        padding_side="left",
        model_max_length=1024,
    )
