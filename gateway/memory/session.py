"""Where we are: which session a request belongs to, and which turn of it. Never reads a message's text.

Sessions form by themselves: every turn is kept under the hash of the conversation that led to it, so a client that
resends its history is recognised by what it has said before, whatever it calls itself.
"""

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from gateway.memory.ports import SessionStore
from gateway.memory.records import Placed, Scope

_RETRY_SECONDS = 120.0
_TURNS = uuid.UUID("6d6e656d-6500-4000-8000-7475726e0000")


@dataclass(frozen=True, slots=True)
class Place:
    """A request's place. `keys` has one store key per turn of the conversation; `known` what is kept under them.

    `fresh` is true when this turn was never seen, so that recall may add to it; a retry or a tool step only replays.
    """

    scope: Scope
    session: str
    turn: str
    keys: tuple[str, ...]
    known: Mapping[str, Placed]
    repeat: int
    fresh: bool


async def locate(store: SessionStore, scope: Scope, session: str | None, keys: tuple[str, ...], now: float) -> Place:
    """The place of the conversation whose turns have these keys (at least one). `now` is the clock's, in seconds.

    A client that sends no history may say the same words again on another day: after two minutes that is a new turn,
    before that it is a retry of the same one.
    """
    known = await store.placed(scope, keys)
    return settle(scope, session, keys, known, now)


def settle(scope: Scope, session: str | None, keys: tuple[str, ...], known: Mapping[str, Placed], now: float) -> Place:
    """The same, from what the store knows; with nothing known when the store does not answer."""
    here = known.get(keys[-1])
    earlier = next((known[key] for key in reversed(keys[:-1]) if key in known), None)
    reopened = here is not None and len(keys) == 1 and now - here.at > _RETRY_SECONDS
    if session is None:
        origin = earlier or (None if reopened else here)
        session = origin.session if origin else uuid.uuid4().hex
    repeat = 0 if here is None else here.repeat + reopened
    identity = orjson.dumps([scope.tenant, scope.user, session, keys[-1], repeat])
    turn = str(uuid.uuid5(_TURNS, hashlib.sha256(identity).hexdigest()))
    return Place(scope, session, turn, keys, known, repeat, fresh=here is None or reopened)


def keys_for(session: str | None, chains: Sequence[str]) -> tuple[str, ...]:
    """Store keys of the turns that hash to `chains`. A named session keeps its turns apart from the same words of
    another one."""
    if session is None:
        return tuple(chains)
    return tuple(hashlib.blake2b(orjson.dumps([session, chain]), digest_size=16).hexdigest() for chain in chains)
