"""A byte-level BPE vocabulary made from the corpus, with a chat template. It must never know what is trained on it."""

import json
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

VOCABULARY = 1024
BOS, EOS, PAD = "<s>", "</s>", "<pad>"
USER, ASSISTANT, SYSTEM, END = "<|user|>", "<|assistant|>", "<|system|>", "<|end|>"
SPECIAL = (BOS, EOS, PAD, USER, ASSISTANT, SYSTEM, END)
_DIGITS = [f"{space}{digit}" for digit in range(10) for space in ("", " ")]
_OFTEN = 10_000  # so often in the text, a pair is surely merged
_PIECES = Regex(r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\d| ?[^\s\p{L}\d]+|\s+(?!\S)|\s+")  # as GPT-2's, a digit at a time
_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def trained(documents: Sequence[str]) -> Tokenizer:
    """A tokenizer of `VOCABULARY` entries; every digit is one token, with or without the space before it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(_PIECES, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*documents, *_DIGITS * _OFTEN], trainer)
    bos = tokenizer.token_to_id(BOS)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, bos)])
    return tokenizer


def run(tokenizer: Tokenizer, documents: Sequence[str]) -> list[int]:
    """The documents as one long text, in tokens, without a BOS."""
    return list(chain.from_iterable(part.ids for part in tokenizer.encode_batch(documents, add_special_tokens=False)))


def save(tokenizer: Tokenizer, folder: Path, context: int) -> None:
    """Write what `AutoTokenizer` reads: `tokenizer.json` and `tokenizer_config.json`."""
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": EOS,
        "pad_token": PAD,
        "additional_special_tokens": [USER, ASSISTANT, SYSTEM, END],
        "model_max_length": context,
        "clean_up_tokenization_spaces": False,
        "chat_template": _TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1))
