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
    `asides` has the keys of user messages that another one followed within the same turn. `located` is false when the
    store did not say what it knows: then nothing may be placed, for it could overwrite what was placed before.
    """

    scope: Scope
    session: str
    turn: str
    keys: tuple[str, ...]
    known: Mapping[str, Placed]
    repeat: int
    fresh: bool
    asides: tuple[str, ...] = ()
    located: bool = True


async def locate(
    store: SessionStore,
    scope: Scope,
    session: str | None,
    keys: tuple[str, ...],
    now: float,
    asides: tuple[str, ...] = (),
    opening: str = "",
    step: bool = False,
) -> Place:
    """The place of the conversation whose turns have these keys (at least one). `now` is the clock's, in seconds;
    `opening` is the key of the last turn's first user message, where that is not its last; `step` tells that the turn
    has gone on since, with tools.

    A client that sends no history may say the same words again on another day: after two minutes that is a new turn,
    before that it is a retry of the same one. A step of a tool loop may take as long as it likes.
    """
    known = await store.placed(scope, (*keys, *asides))
    return settle(scope, session, keys, known, now, asides, opening, step)


def settle(
    scope: Scope,
    session: str | None,
    keys: tuple[str, ...],
    known: Mapping[str, Placed] | None,
    now: float,
    asides: tuple[str, ...] = (),
    opening: str = "",
    step: bool = False,
) -> Place:
    """The same, from what is known; None when the store does not answer."""
    placed = known or {}
    here = placed.get(keys[-1])
    earlier = next((placed[key] for key in reversed((*keys[:-1], *asides)) if key in placed), None)
    reopened = here is not None and len(keys) == 1 and not step and now - here.at > _RETRY_SECONDS
    repeat = 0 if here is None else here.repeat + reopened
    if session is None:
        origin = earlier or (None if reopened else here)
        session = origin.session if origin else _session(scope, keys, repeat, blind=known is None)
    # One turn, however often the user adds to it before it is answered.
    identity = orjson.dumps([scope.tenant, scope.user, session, opening or keys[-1], repeat])
    turn = str(uuid.uuid5(_TURNS, hashlib.sha256(identity).hexdigest()))
    return Place(scope, session, turn, keys, placed, repeat, here is None or reopened, asides, known is not None)


def _session(scope: Scope, keys: tuple[str, ...], repeat: int, *, blind: bool) -> str:
    """A new session's name: the same for the same beginning, so that a turn told while the store is away gets the id
    that it has anyway. Not so for a first message told blindly: it may be an old one's words, said on another day."""
    if blind and len(keys) == 1:
        return uuid.uuid4().hex
    identity = orjson.dumps([scope.tenant, scope.user, keys[0], repeat])
    return hashlib.blake2b(identity, digest_size=16).hexdigest()


def keys_for(session: str | None, chains: Sequence[str]) -> tuple[str, ...]:
    """Store keys of the turns that hash to `chains`. A named session keeps its turns apart from the same words of
    another one."""
    if session is None:
        return tuple(chains)
    return tuple(hashlib.blake2b(orjson.dumps([session, chain]), digest_size=16).hexdigest() for chain in chains)
