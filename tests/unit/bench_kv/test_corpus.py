"""What of a machine's files becomes the benchmark's corpus. Knows made-up folders only."""

from pathlib import Path

from tests.bench_kv.model.corpus import documents, licences, modules, prose, split

SENTENCE = "Everything that is said here is said in plain words, so that a small model has a chance of learning it."
LONG = "\n\n".join(f"{SENTENCE[:-1]}, and is {'very ' * n}short." for n in range(8))


def test_prose_is_one_paragraph_a_line() -> None:
    """Breaks inside a paragraph are the editor's, not the author's."""
    broken = SENTENCE.replace(" is ", "\n    is ")

    assert list(prose(f"{broken}\n\n  {broken}\n")) == [SENTENCE, SENTENCE]


def test_what_is_no_sentence_is_not_prose() -> None:
    """Code, tables, formulas, fragments and other scripts teach no English."""
    texts = (
        ">>> " + "print(x); " * 12,
        "===== ===== =====" * 8,
        "Let x = (a + b)^2 / (c - d)^2 and y = (e + f)^3 / (g - h)^3, so that x*y = 1/(2*k) = 3.",
        "and so a sentence that began elsewhere goes on here without its beginning, however long it is.",
        "Short.",
        SENTENCE.replace("plain", "schönen"),
    )

    assert [list(prose(text)) for text in texts] == [[]] * len(texts)


def test_a_paragraph_is_taken_once() -> None:
    """What two files share must not be learned twice, nor be both learned and held out."""
    first, second = documents([LONG, f"{LONG}\n\n{LONG.replace('plain', 'other')}"])

    assert first == LONG.replace("\n\n", "\n") + "\n"
    assert second == first.replace("plain", "other")


def test_a_short_document_is_left_out() -> None:
    """A single sentence is not a text."""
    assert list(documents([SENTENCE])) == []


def test_strings_are_read_file_by_file_in_order_of_path(tmp_path: Path) -> None:
    """The order on disk differs between machines; that of names does not."""
    for name in ("b.py", "a/x.py", "a/tests/y.py", "c.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f'"""{name}"""\n')
    (tmp_path / "a.py").write_text("def")
    (tmp_path / "notes.txt").write_text('"""no"""')

    assert list(modules(tmp_path)) == ["a/x.py", "b.py", "c.py"]


def test_a_licence_is_read_once(tmp_path: Path) -> None:
    """Debian links the newest version under a second name."""
    (tmp_path / "GPL-3").write_text("text")
    (tmp_path / "GPL").symlink_to("GPL-3")

    assert list(licences(tmp_path)) == ["text"]


def test_held_out_documents_come_from_the_whole_range() -> None:
    """Every sixteenth is held out, and no document is in both parts."""
    found = split(str(number) for number in range(48))

    assert found.held_out == ("15", "31", "47")
    assert set(found.train) | set(found.held_out) == {str(number) for number in range(48)}
    assert len(found.train) == 45
