"""The benchmark's vocabulary. Knows no corpus of this machine."""

import json
from pathlib import Path

from tokenizers import Tokenizer

from tests.bench_kv.model.tokenizer import BOS, SPECIAL, run, save, trained


def test_special_tokens_have_the_first_numbers(words: Tokenizer) -> None:
    """The configuration of the model is written from their order."""
    assert [words.token_to_id(name) for name in SPECIAL] == list(range(len(SPECIAL)))


def test_a_digit_is_a_token(words: Tokenizer) -> None:
    """A pass key has as many tokens as digits, with spaces or without."""
    assert len(words.encode(" 4 8 1 5 9", add_special_tokens=False).ids) == 5
    assert len(words.encode("48159", add_special_tokens=False).ids) == 5


def test_any_text_comes_back(words: Tokenizer) -> None:
    """Bytes are the alphabet, so nothing is unknown."""
    said = "Ünïcode,\ttabs\n\n  and 12 spaces … 漢字"

    assert words.decode(words.encode(said).ids) == said


def test_a_prompt_starts_with_bos_and_a_run_does_not(words: Tokenizer) -> None:
    """The first position is BOS in all that the model reads; documents in a row have it nowhere."""
    bos = SPECIAL.index(BOS)

    assert words.encode("key").ids == [bos, *run(words, ["key"])]


def test_equal_documents_give_equal_vocabularies(words: Tokenizer) -> None:
    """Nothing in it depends on the hour or the machine."""
    documents = ["The pass key is hidden in text that says nothing. What is the pass key? Remember it."]

    assert trained(documents).get_vocab() == words.get_vocab()


def test_the_folder_tells_how_to_chat(words: Tokenizer, tmp_path: Path) -> None:
    """A worker finds the template, and the length that the model was trained for."""
    save(words, tmp_path, 512)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())

    assert Tokenizer.from_file(str(tmp_path / "tokenizer.json")).get_vocab() == words.get_vocab()
    assert config["model_max_length"] == 512
    assert "<|assistant|>" in config["chat_template"]
