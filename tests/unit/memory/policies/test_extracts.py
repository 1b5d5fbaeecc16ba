"""Texts in fewer words, and without what other texts say."""

from gateway.memory.policies.extracts import extract, without

TEXT = "Well. The hive weighs 3.14 kilos. Well. Ada sold it to Olaf in Riga"


def test_the_telling_sentences_are_kept_whole() -> None:
    """In their order; the point of a number is no end."""
    assert extract(TEXT, 13) == "The hive weighs 3.14 kilos. Ada sold it to Olaf in Riga"
    assert extract(TEXT, 6) == "The hive weighs 3.14 kilos."


def test_a_sentence_that_is_too_long_is_cut() -> None:
    """Where not one fits, by words."""
    assert extract("Ada keeps bees in Riga.", 3) == "Ada keeps bees"


def test_what_others_say_is_left_out() -> None:
    """Whatever the marks and capitals; a part of a sentence is none."""
    assert without(TEXT, ["well! Ada sold it."]) == "The hive weighs 3.14 kilos. Ada sold it to Olaf in Riga"
    assert without("蜂。蜜。", ["蜜。"]) == "蜂。"
    assert without("Well.", ["Well"]) == ""
