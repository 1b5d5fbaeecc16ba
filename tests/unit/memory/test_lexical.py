"""Texts as terms: the same words give the same terms, in any script, and no text is refused."""

import pytest

from gateway.memory import lexical


def shared(one: str, other: str) -> int:
    """How many terms two texts have in common."""
    return len(lexical.terms(one) & lexical.terms(other))


def test_words_are_found_in_another_form() -> None:
    """Stems, case and accents do not matter; stop words do not count."""
    asked = set(lexical.query("What did the dancers dance in the café?").indices)
    told = set(lexical.document("Dancing at a CAFE").indices)

    assert len(told) == 2
    assert told <= asked


def test_rare_and_repeated_words_weigh_more_in_a_text_but_not_in_a_question() -> None:
    """Term frequency belongs to the document."""
    told = lexical.document("tea tea tea rain")
    asked = lexical.query("tea tea tea rain")

    assert len(set(told.values)) == 2
    assert set(asked.values) == {1.0}


@pytest.mark.parametrize(
    ("fact", "question", "other"),
    [
        ("我养了一只猫。", "我的猫叫什么名字？", "昨天下雨了。"),
        ("祖父は灯台守をしていました。", "灯台で働いていたのは誰？", "駅に行きます。"),
        ("첼로를 배우고 있어요.", "첼로는 누가 가르쳐?", "버스에 우산이 없다."),
        ("ฉันแพ้วอลนัต", "วอลนัตกินได้ไหม", "ที่ตลาดมีขนม"),
        ("ខ្ញុំរស់នៅភ្នំពេញ", "ភ្នំពេញនៅឯណា", "ឆ្មា"),
    ],
    ids=["Chinese", "Japanese", "Korean", "Thai", "Khmer"],
)
def test_a_word_is_found_where_no_spaces_set_it_off(fact: str, question: str, other: str) -> None:
    """It shares terms with a question about it, and more than with a sentence about something else."""
    assert shared(fact, question) > shared(fact, other)


def test_a_word_of_one_character_is_found_inside_a_run() -> None:
    """Many Chinese words are one character long; pairs alone would miss them."""
    assert shared("猫", "我的猫叫什么名字") == 1


def test_only_a_neighbour_makes_a_pair() -> None:
    """Two texts with the same kana in another order share nothing."""
    assert shared("かさ", "さか") == 0
    assert shared("かさ", "かさ") == 1


def test_what_is_written_with_spaces_keeps_its_words() -> None:
    """A run ends where another script begins, and the words around it stay whole."""
    assert shared("Sushi寿司 tonight", "sushi") == shared("Sushi寿司 tonight", "tonight") == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("пчёлы", "пчелы"),
        ("книга", "книги"),
        ("كِتَاب", "كتاب"),
        ("أحمد", "احمد"),
        ("שָׁלוֹם", "שלום"),
        ("ﾃﾚﾋﾞ", "テレビ"),
        ("cafe\u0301", "café"),
        ("Donau\u00addampfer", "Donaudampfer"),
        ("İzmir", "izmir"),
        ("STRASSE", "Straße"),
        ("फ़ोन", "फोन"),
        ("விமானம்", "விமானம"),
    ],
)
def test_two_spellings_of_a_word_are_one_term(one: str, other: str) -> None:
    """Cyrillic endings, letters or points that are often left out, composed or not."""
    assert lexical.terms(one) == lexical.terms(other)
    assert len(lexical.terms(one)) >= 1


def test_a_letter_that_its_mark_makes_another_stays_another() -> None:
    """Kana are voiced by a mark, Russian й has a breve: neither is an accent."""
    assert shared("かき", "かぎ") == 0
    assert shared("чай", "чаи") == 1  # one stem: by its ending, not by a lost breve
    assert shared("йод", "иод") == 0


def test_a_sign_inside_a_word_does_not_split_it() -> None:
    """Viramas and Thai signs stand between letters of one word."""
    assert len(lexical.terms("वॉशिंग्टन")) == 1
    assert lexical.terms("เล็ก") == lexical.terms("เลก")


def test_two_alphabets_in_one_text_both_count() -> None:
    """Each word is stemmed by its own letters' rules."""
    mixed = lexical.terms("Купил новые iPhones")

    assert mixed == lexical.terms("купил новые") | lexical.terms("iPhones")
    assert set(lexical.document("Купил новые iPhones").indices) == mixed


@pytest.mark.parametrize("text", ["", " ", "the of and", "\x00", "\ud800", "?!…", "日本語", "x" * 1_000_000])
def test_any_text_is_accepted(text: str) -> None:
    """Weights are positive, indexes and values go together."""
    for sparse in (lexical.document(text), lexical.query(text)):
        assert len(sparse.indices) == len(sparse.values)
        assert all(value > 0 for value in sparse.values)


@pytest.mark.parametrize("letter", ["x", "日", "ё", "\u0301", "ก็", "\ud800", "é", "\u200d👩", "\u202e", "가"])
def test_a_word_of_a_million_letters_is_accepted(letter: str) -> None:
    """It is cut before anything looks at it."""
    assert len(lexical.document(letter * 1_000_000).indices) <= 3
    assert len(lexical.terms(letter * 1_000_000)) <= 3
