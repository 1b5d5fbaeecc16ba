"""Small dues and reflections to fill agendas with."""

from typing import Any

from gateway.memory.records import Memory, Scope
from gateway.memory.reflections import Due, Reflection
from tests.contracts.samples import ADA, memory


def due(turn: str, seq: int = 1, **fields: Any) -> Due:
    """A turn to be thought about."""
    return Due(**{"turn": turn, "seq": seq, "policy": "tim", **fields})


def reflection(id: str, *turns: str, **fields: Any) -> Reflection:
    """One about these turns."""
    return Reflection(**{"id": id, "policy": "tim", "at": 5.0, "turns": turns, **fields})


def derived(id: str, *sources: str, scope: Scope = ADA) -> Memory:
    """A memory that reflection made of these turns."""
    return memory(id, scope, kind="fact", sources=sources)
