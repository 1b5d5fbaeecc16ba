"""What was worked out about memories, kept as long as the memories themselves are. Pure; keeps no memory alive."""

import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

from gateway.memory.records import Memory

T = TypeVar("T")


class Derived(Generic[T]):
    """`derive`, asked once for each Memory object: a store that keeps objects in RAM spares the asking, and when it
    forgets them, so does this."""

    def __init__(self, derive: Callable[[Memory], T]) -> None:
        self._derive = derive
        self._known: dict[int, tuple[weakref.ref[Memory], T]] = {}

    def __call__(self, memory: Memory) -> T:
        # By identity: comparing or hashing a memory's fields would cost as much as some of what is derived.
        key = id(memory)
        known = self._known.get(key)
        if known is not None and known[0]() is memory:
            return known[1]
        value = self._derive(memory)
        self._known[key] = weakref.ref(memory, lambda _: self._known.pop(key, None)), value
        return value

    def __len__(self) -> int:
        return len(self._known)
