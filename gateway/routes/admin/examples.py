"""Made-up records that the API's description shows. No logic."""

from typing import Any

import msgspec

from gateway.memory.records import Dead, Hit, Lag, Memory, Placed, Scope, Trace, Turn
from gateway.memory.reflections import Reflection
from gateway.memory.thoughts import Former, Thought

_ADA = Scope("acme", "ada")
_TURN_ID = "0d5c2a52-7a53-5a5e-9d36-0b6a8d6f5a11"
_AT = 1_777_852_800.0

TURN = Turn(
    id=_TURN_ID,
    scope=_ADA,
    session="beekeeping",
    chain="3f6cbb5a5b8b4a1f9c0e7c0a4f1b2d3e",
    at=_AT,
    user_text="My sister keeps bees in Riga.",
    reply_text="How lovely! How many hives does she have?",
    model="mneme-reader",
    trace="6f1e0c5cfb6c4f8c9a3f0f4b8e2d7a10",
    seq=1,
)
MEMORY = Memory(
    id=_TURN_ID,
    scope=_ADA,
    session="beekeeping",
    text="My sister keeps bees in Jurmala.",
    reply=TURN.reply_text,
    at=_AT,
    updated=_AT + 60,
    seq=1,
    version=2,
    sources=(_TURN_ID,),
    former=(Former(1, TURN.user_text, _AT + 60),),
)
HIT = Hit(MEMORY, 3.1416, {"dense_turn": 0.71, "bm25_turn": 4.2})
PLACED = Placed("beekeeping", _TURN_ID, at=_AT)
DEAD = Dead(TURN, 5, "The embedder failed.")
FACT = Memory(
    id="9b1de3a4-8f0e-5c7b-9d42-2f6f0a1c7e55",
    scope=_ADA,
    session="beekeeping",
    text="Ada's sister keeps bees in Riga.",
    kind="fact",
    at=_AT,
    updated=_AT + 90,
    sources=(_TURN_ID,),
    thought=Thought("tim", "c6a5f1b2-3d4e-4f60-8a7b-9c0d1e2f3a4b", tags=("Ada",)),
)
WATCH = Memory(
    id="7c7a3f0e-2b7e-5f0e-8c55-3a9b0d6e4f21",
    scope=_ADA,
    session="",
    text="Tell me when Ada's hive is sold.",
    kind="watch",
    at=_AT,
    updated=_AT,
    sources=(_TURN_ID,),
    thought=Thought(""),
)
REFLECTION = Reflection(
    id="c6a5f1b2-3d4e-4f60-8a7b-9c0d1e2f3a4b",
    policy="tim",
    at=_AT + 90,
    turns=(_TURN_ID,),
    after=(FACT,),
    refused=("forget: not made by this policy",),
    state="applied",
    calls=1,
    tokens=512,
)
LAG = Lag(pending=2, dead=1, oldest=0.4)
TRACE = Trace(
    id=TURN.trace,
    scope=_ADA,
    session="holidays",
    turn="5a0f4a0e-3d1c-5b7e-8a57-6f7f7b7f2c90",
    at=_AT + 90_000,
    question="Where does my sister keep bees?",
    mode="on",
    policy="verbatim",
    hits=(HIT,),
    tokens=42,
    millis={"admit": 0.1, "recall": 4.2, "compose": 0.3},
    injected="<mneme-memory …>",
)
CERTIFICATE = {
    "id": "c4b4f1b0c6a14d0e8e5d1f3a7b9c2d4e",
    "issuer": "mneme 0.1.0",
    "tenant": "acme",
    "user": "ada",
    "at": _AT,
    "erased": {"turns": 12, "memories": 12, "sessions": 31, "thoughts": 14, "kv": 2},
    "remains": {"turns": 0, "memories": 0, "sessions": 0, "thoughts": 0},
    "signature": "n0t-a-r3al-s1gnature-n0t-a-r3al-s1gnature-0",
}


def shown(example: Any, status: int = 200, media: str = "application/json") -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that answers like this example."""
    plain = example if isinstance(example, str) else msgspec.to_builtins(example)
    return {status: {"content": {media: {"example": plain}}}}
