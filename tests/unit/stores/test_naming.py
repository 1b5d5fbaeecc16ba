"""Which index an embedder has: chosen by name and stamp, or refused before anything is opened."""

import pytest

from gateway.errors import DataDirectoryRefused
from gateway.memory.records import Standing
from gateway.memory.stores.naming import is_ours, may_be_ours, read_from, suffixed, written_beside

OLD, NEW, THIRD = "all-MiniLM-L6-v2", "http:nomic/embed:v1.5", "http:nomic/embed:v2"
PLAIN, OWN = "mneme", suffixed("mneme", NEW)


def test_a_name_can_be_read_and_is_the_embedder_s_alone() -> None:
    """Also where two identities differ only in what a name cannot hold, or beyond its length."""
    names = [suffixed(PLAIN, identity) for identity in (OLD, NEW, THIRD, "A b", "a-b", "x" * 60, "x" * 61, "", "é")]

    assert len({*names}) == len(names)
    assert all(name.startswith("mneme-") and len(name) < 70 for name in names)
    assert suffixed(PLAIN, OLD).startswith("mneme-all-minilm-l6-v2-")
    assert all(may_be_ours(PLAIN, name) for name in names)
    assert is_ours(PLAIN, OWN, NEW)
    assert not is_ours(PLAIN, OWN, OLD)


@pytest.mark.parametrize("identity", [OLD, NEW])
def test_the_first_index_has_the_plain_name(identity: str) -> None:
    """Whichever embedder it is."""
    assert read_from(PLAIN, [], identity) == PLAIN


@pytest.mark.parametrize(
    ("found", "old", "new"),
    [
        ([Standing(PLAIN, OLD)], PLAIN, OWN),
        ([Standing(PLAIN, OLD), Standing(OWN, NEW, "mark")], PLAIN, OWN),
        ([Standing(PLAIN, OLD, "mark"), Standing(OWN, NEW)], PLAIN, OWN),
        ([Standing(OWN, NEW)], suffixed(PLAIN, OLD), OWN),
        ([Standing(PLAIN, NEW)], suffixed(PLAIN, OLD), PLAIN),
        ([Standing(PLAIN, NEW, "mark"), Standing(OWN, NEW)], suffixed(PLAIN, OLD), OWN),
    ],
)
def test_an_index_to_be_filled_may_be_there_or_not(found: list[Standing], old: str, new: str) -> None:
    """Its own one, else the plain one where that is its own, else a new one."""
    assert (written_beside(PLAIN, found, OLD), written_beside(PLAIN, found, NEW)) == (old, new)


def test_what_holds_everything_is_read() -> None:
    """Both, while both are written; either may be the one that is read."""
    both = [Standing(PLAIN, OLD), Standing(OWN, NEW)]

    assert (read_from(PLAIN, both, OLD), read_from(PLAIN, both, NEW)) == (PLAIN, OWN)


@pytest.mark.parametrize("identity", [OLD, NEW])
def test_an_index_that_is_behind_is_not_read(identity: str) -> None:
    """The message names it and the way to fill it."""
    found = [Standing(PLAIN, OLD, "a"), Standing(OWN, NEW, "b")]

    with pytest.raises(DataDirectoryRefused, match=r"does not hold everything.*MNEME_NEXT_EMBEDDER.*mneme reembed"):
        read_from(PLAIN, found, identity)


def test_an_empty_memory_does_not_take_the_place_of_a_full_one() -> None:
    """Once the plain one was dropped, an embedder without an index is refused instead of being given an empty one."""
    with pytest.raises(DataDirectoryRefused, match=f"only {OWN} of {NEW}.*MNEME_NEXT_EMBEDDER"):
        read_from(PLAIN, [Standing(OWN, NEW)], OLD)


def test_the_plain_index_of_another_is_looked_at_by_who_opens_it() -> None:
    """Its stamp says more than this list: the refusal names both embedders with their dimensions."""
    assert read_from(PLAIN, [Standing(PLAIN, OLD)], NEW) == PLAIN
