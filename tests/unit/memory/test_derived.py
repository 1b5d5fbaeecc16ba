"""What is derived of memories: worked out once for each object, and gone with it."""

import gc
from dataclasses import replace

from gateway.memory.derived import Derived
from gateway.memory.records import Memory, Scope

MEMORY = Memory("m", Scope("t", "u"), "s", "My sister Ada keeps bees.")


def counting() -> tuple[Derived[int], list[str]]:
    """Something that derives the length of a memory's text, and which texts it was asked for."""
    asked: list[str] = []

    def length(memory: Memory) -> int:
        asked.append(memory.text)
        return len(memory.text)

    return Derived(length), asked


def test_it_is_asked_once_for_each_object() -> None:
    """However often somebody wants to know."""
    derived, asked = counting()

    assert [derived(MEMORY) for _ in range(3)] == [len(MEMORY.text)] * 3
    assert asked == [MEMORY.text]


def test_another_object_is_asked_anew() -> None:
    """Even with equal fields: to compare them would cost as much as to derive."""
    derived, asked = counting()
    twin = replace(MEMORY)
    derived(MEMORY), derived(twin), derived(MEMORY)

    assert twin == MEMORY
    assert len(asked) == len(derived) == 2


def test_it_goes_with_the_object() -> None:
    """And keeps none alive."""
    derived, _ = counting()
    kept, lost = replace(MEMORY, id="kept"), replace(MEMORY, id="lost")
    derived(kept), derived(lost)
    del lost
    gc.collect()

    assert len(derived) == 1
    assert derived(kept) == len(kept.text)


def test_an_edited_memory_is_not_mistaken_for_the_old_one() -> None:
    """Objects come and go at the same address; each is asked for what it says itself."""
    derived, _ = counting()

    assert [derived(replace(MEMORY, text="x" * n)) for n in range(500)] == [*range(500)]
    gc.collect()
    assert len(derived) == 0


def test_what_is_derived_may_be_false() -> None:
    """Nothing is a value too, and is not asked for again."""
    derived, asked = counting()
    empty = replace(MEMORY, text="")

    assert (derived(empty), derived(empty)) == (0, 0)
    assert asked == [""]
