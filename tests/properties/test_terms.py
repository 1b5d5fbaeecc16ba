"""What lexical makes of texts that nobody would think of: it accepts them all, and English stays what it was."""

from hypothesis import example, given
from hypothesis import strategies as st
from qdrant_edge import Bm25, Bm25Config

from gateway.memory import lexical
from gateway.memory.records import Sparse
from tests.bench.languages import read

LETTERS = st.characters()  # lone surrogates and control characters included
ODD = [
    "\ud800",
    "\udfff",
    "\x00",
    "\u200d",
    "\u202e",
    "\ufe0f",
    "👩\u200d👩\u200d👧",
    "🇩🇪",
    "e\u0301\u0323",
    "\u3099",
    "ー",
]
ODD += [
    "עברית",
    "العربية",
    "नमस्ते",
    "ไทย",
    "日本",
    "한국",
    "Привет",
    "é",
    "ﬁ",
    " ",
    "\u00a0",
    "\U0001e900",
    "\U00020000",
]
TEXTS = st.lists(LETTERS | st.sampled_from(ODD), max_size=60).map("".join)
WORDS = st.sampled_from(
    ["My", "sister's", "Sisters", "keep", "keeping", "BEES", "bees?", "the", "don't", "420", "e-mail", "x_y"]
)
ASCII = st.text(st.characters(max_codepoint=127), max_size=200) | st.lists(WORDS, max_size=40).map(" ".join)
ENGLISH = Bm25(Bm25Config(language="english", avg_len=24.0, ascii_folding=True))
SENTENCES = [text for own in read().values() for text in (*own.talk, *own.general)]


@given(TEXTS)
def test_any_text_has_terms_with_positive_weights(text: str) -> None:
    """A document and a question agree on the terms; no index comes twice; nothing is raised."""
    told, asked, terms = lexical.document(text), lexical.query(text), lexical.terms(text)

    assert len(told.indices) == len(told.values) == len(set(told.indices))
    assert all(value > 0 for value in told.values)
    assert set(told.indices) == set(asked.indices) == terms
    assert asked.values == (1.0,) * len(terms)


@given(TEXTS)
def test_the_same_text_has_the_same_terms(text: str) -> None:
    """In every call, so that what was stored can be found."""
    assert lexical.document(text) == lexical.document(text)
    assert lexical.query(text) == lexical.query(text)


@given(ASCII)
@example("Yesterday I took my sister's old bicycle to the shop, and she doesn't know; 50% off!")
def test_english_is_what_the_engine_makes_of_it(text: str) -> None:
    """The ranker's weights were fitted on exactly these terms and weights."""
    told, asked = ENGLISH.embed_document(text), ENGLISH.embed_query(text)

    assert lexical.document(text) == Sparse(tuple(told.indices), tuple(told.values))
    assert lexical.query(text) == Sparse(tuple(asked.indices), tuple(asked.values))


@given(st.lists(WORDS | st.sampled_from(["café", "naïve", "don’t", "—", "“quoted”", "…", "Zürich", "№"]), max_size=30))
def test_english_with_accents_and_typographic_marks_stays_too(words: list[str]) -> None:
    """As the engine folds them, whatever path the text takes here."""
    text = " ".join(words)
    told = ENGLISH.embed_document(text)

    assert lexical.document(text) == Sparse(tuple(told.indices), tuple(told.values))


@given(st.sampled_from(SENTENCES), st.sampled_from(SENTENCES))
def test_terms_of_two_sentences_are_terms_of_both_in_one_text(one: str, other: str) -> None:
    """What stands beside a sentence in another language changes nothing about its words."""
    assert lexical.terms(f"{one}\n{other}") == lexical.terms(one) | lexical.terms(other)
