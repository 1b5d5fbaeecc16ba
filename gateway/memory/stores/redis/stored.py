"""Turns as Redis holds them, "seq:" before each, and back. Knows no key and no command."""

from dataclasses import replace

from gateway.memory.records import Turn
from gateway.memory.stores import codec
from gateway.memory.stores.codec import Codec
from gateway.memory.stores.redis import keys

_turns = Codec(Turn)


def turn(stored: bytes) -> Turn | None:
    """The turn; None, and a line in the log, where it is damaged."""
    seq, _, body = stored.partition(b":")
    found = _turns.decode_if_whole(body)
    return replace(found, seq=int(seq)) if found else None


def shell(seq: int, who: bytes, id: bytes) -> Turn:
    """Of a damaged turn what its keys know: whose it is, so that it can be shown and erased."""
    return Turn(codec.text(id), keys.scope(who), "", "", 0.0, "", "", seq=seq)


def turn_or_shell(stored: bytes, who: bytes, id: bytes) -> Turn:
    """The turn, damaged or not."""
    return turn(stored) or shell(int(stored.partition(b":")[0]), who, id)
