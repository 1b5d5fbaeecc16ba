"""How near words are: exact on a small table, within bounds for any text, and sensible on the real one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.memory.embedders import minilm_words
from gateway.memory.words import Words, split
from tests.support.gateway import ROOT
from tests.support.words import table

SMALL = table(common="the a of", near=(("kids", "children"), ("bee", "hive"), ("lead",)))
ANY = st.one_of(st.text(st.characters(codec=None), max_size=40), st.sampled_from(["the kids", "bees", "Ada's hive"]))
steady = settings(derandomize=True, deadline=None, max_examples=100)


def near(one: str, other: str, words: Words = SMALL) -> float:
    """How near the first word of one text is to the other text."""
    return float(words.nearness(words.ids(split(one)[:1]), [words.ids(split(other))])[0, 0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ada's bees, don’t they?", ["ada", "bees", "don't", "they"]),
        ("snake_case 24/7", ["snake", "case", "24", "7"]),
        ("猫が好き", ["猫が好き"]),
        ("Привет, мир", ["привет", "мир"]),
        ("🙂 \ud800 — …", []),
        ("", []),
    ],
)
def test_words_of_a_text(text: str, expected: list[str]) -> None:
    """Lower case, no possessives; signs are no words."""
    assert split(text) == expected


def test_a_word_is_as_near_as_its_row() -> None:
    """The cosine of the table, and at a right angle none."""
    assert near("kids", "children") == pytest.approx(0.81 / 1.17)
    assert near("kids", "lead") == 0.0


def test_the_nearest_word_of_a_text_counts() -> None:
    """Wherever it stands, and each text for itself."""
    ids = SMALL.ids
    found = SMALL.nearness(ids(["kids"]), [ids(["the", "children"]), ids(["hive"]), ids(["kids", "children"])])

    assert found[0] == pytest.approx([0.81 / 1.17, 0.0, 1.0])


def test_a_text_without_words_is_near_nothing() -> None:
    """Also between others, and when the text is all there is."""
    ids = SMALL.ids
    found = SMALL.nearness(ids(["kids", "strange"]), [ids([]), ids(["kids"]), ids([])])

    assert found.tolist() == [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    assert SMALL.nearness(ids(["kids"]), [ids([])]).tolist() == [[0.0]]


def test_no_words_asked_is_no_row() -> None:
    """The shape says so."""
    assert SMALL.nearness(SMALL.ids([]), [SMALL.ids(["kids"])]).shape == (0, 1)


def test_a_plural_is_its_singular() -> None:
    """Where the table has only that."""
    assert near("bees", "bee") == 1.0
    assert near("bees", "hive") > 0.5


def test_an_unknown_word_is_near_itself_only() -> None:
    """Not to another unknown word, nor to a known one."""
    assert (near("Zuzka", "zuzka"), near("Zuzka", "Kiki"), near("Zuzka", "kids")) == (1.0, 0.0, 0.0)


def test_without_a_table_a_word_is_near_itself_only() -> None:
    """And no word is rarer than another."""
    none = Words.none()
    rarity = none.rarity(none.ids(["the", "kids"]))

    assert (near("kids", "the kids", none), near("kids", "children", none)) == (1.0, 0.0)
    assert rarity[0] == rarity[1] > 0


def test_a_rare_word_tells_more() -> None:
    """By its rank: what everybody says tells little, an unknown word most of all."""
    common, rare, unknown = SMALL.rarity(SMALL.ids(["the", "kids", "zuzka"]))

    assert common < rare < unknown + 0.5
    assert unknown == SMALL.rarity(np.arange(len(SMALL.table))).max()


def test_rarity_is_bounded() -> None:
    """From 0.3 to 6.5 over a whole vocabulary, and never falling with the rank."""
    rarity = SMALL.rarity(np.arange(len(SMALL.table)))

    assert (float(rarity.min()), float(rarity.max())) == pytest.approx((0.3, 6.5))
    assert (np.diff(rarity) >= 0).all()


@given(st.lists(ANY, max_size=5), st.lists(ANY, min_size=1, max_size=8))
@steady
def test_nearness_is_a_cosine(asked: list[str], texts: list[str]) -> None:
    """For any text in any script, lone surrogates too: one row per word, one column per text, each from −1 to 1; 1 for
    a word that the text has, and finite weights for all."""
    words = split(" ".join(asked))
    ids = SMALL.ids(words)
    found = SMALL.nearness(ids, [SMALL.ids(split(text)) for text in texts])

    assert found.shape == (len(words), len(texts))
    assert (np.abs(found) <= 1.0001).all()
    assert all(found[i, j] == 1 for i, w in enumerate(words) for j, text in enumerate(texts) if w in split(text))
    assert ((SMALL.rarity(ids) >= 0.3) & (SMALL.rarity(ids) <= 6.5)).all()


@given(ANY, ANY)
@steady
def test_a_number_belongs_to_one_word(one: str, other: str) -> None:
    """Equal words have equal numbers, whatever stands around them, and none is negative."""
    together, alone = SMALL.ids(split(f"{one} {other}")), SMALL.ids(split(one))

    assert (together[: len(alone)] == alone).all()
    assert (together >= 0).all()


async def test_a_language_model_knows_what_is_alike() -> None:
    """Over MiniLM's own table: children are kids, and bicycles are not."""
    words = await minilm_words.words(ROOT / "build" / "test-models")

    assert near("kids", "children", words) > near("kids", "bicycle", words) + 0.2
    assert near("doctor", "physician", words) > near("doctor", "kitchen", words) + 0.2


async def test_a_language_model_knows_what_is_rare() -> None:
    """A cello tells more than twice as much as an article does."""
    words = await minilm_words.words(ROOT / "build" / "test-models")
    the, cello = words.rarity(words.ids(["the", "cello"]))

    assert 0 < 2 * the < cello


@given(st.text(alphabet=st.characters(max_codepoint=127), max_size=60))
def test_plain_text_is_split_as_any_other(text: str) -> None:
    """The quick way for ASCII and the general one give the same words."""
    assert split(text) == split(f"{text} é")[:-1]
