"""A small vocabulary of the benchmark's kind. It must never know a corpus of this machine."""

import pytest
from tokenizers import Tokenizer

from tests.bench_kv.model.tokenizer import trained


@pytest.fixture(scope="session")
def words() -> Tokenizer:
    """Trained on a sentence and the words of a pass key."""
    return trained(["The pass key is hidden in text that says nothing. What is the pass key? Remember it."])
