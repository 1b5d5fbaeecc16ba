"""A backup of whatever there may be, restored anywhere, is the same backup. Knows no route."""

import asyncio
import tempfile
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.admit import Quota
from gateway.backup.lines import Issued, Placement, Record, decode, encode
from gateway.errors import BadRequest
from gateway.memory.records import Kept, Memory, Placed, Scope, Turn
from gateway.memory.thoughts import Former
from gateway.tenants.records import KeyCard, Limits, Tenant
from tests.support.installation import Installation, embedded, modelled, shared

IDS = st.text(st.characters(), max_size=12)  # lone surrogates included
TEXTS = st.text(max_size=40)
TIMES = st.floats(0, 4e9)
NUMBERS = st.integers(0, 2**50)
SCOPES = st.builds(Scope, st.sampled_from(["acme", "", "a:b", "é\udc80"]), IDS)
TENANTS = st.builds(Tenant, IDS, TIMES, st.builds(Limits, NUMBERS, NUMBERS), st.builds(Quota, NUMBERS, NUMBERS))
CARDS = st.builds(
    KeyCard,
    id=IDS,
    kind=st.sampled_from(["per-user", "single-user", "admin"]),
    tenant=IDS,
    role=st.sampled_from(["read", "write", "operator", ""]),
    label=IDS,
    created=TIMES,
    until=st.none() | TIMES,
    used=TIMES,
)
KEYS = st.builds(Issued, st.binary(min_size=32, max_size=32).map(bytes.hex), CARDS)
TURNS = st.builds(
    Turn, IDS, SCOPES, IDS, IDS, TIMES, TEXTS, TEXTS, st.sampled_from(["final", "partial", "open"]), IDS, IDS
)
KEPT = st.builds(Kept, TURNS, st.sampled_from(["pending", "done", "dead"]), TEXTS, st.integers(0, 9))
MEMORIES = st.builds(
    Memory,
    id=IDS,
    scope=SCOPES,
    session=IDS,
    text=TEXTS,
    reply=TEXTS,
    kind=st.sampled_from(["turn", "note"]),
    trust=st.sampled_from(["user", "assistant", "operator"]),
    status=st.sampled_from(["active", "archived"]),
    pinned=st.booleans(),
    at=TIMES,
    updated=TIMES,
    seq=st.integers(0, 3),
    version=st.integers(1, 9),
    sources=st.lists(IDS, max_size=2).map(tuple),
    former=st.lists(st.builds(Former, NUMBERS, TEXTS, TIMES), max_size=2).map(tuple),
)
PLACED = st.builds(
    Placed, IDS, IDS, TEXTS, st.lists(IDS, max_size=2).map(tuple), TIMES, NUMBERS, st.booleans(), IDS, st.booleans()
)
PLACEMENTS = st.builds(Placement, SCOPES, IDS, PLACED)
RECORDS = st.one_of(TENANTS, KEYS, KEPT, MEMORIES, PLACEMENTS)

Opening = Callable[[Path], AbstractAsyncContextManager[Installation]]


@given(RECORDS)
def test_a_line_comes_back_as_it_went_out(record: Record) -> None:
    """Whatever ids and texts it holds; and it is one line."""
    line = encode(record)

    assert decode(line) == record
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")


CUT = st.tuples(RECORDS.map(encode), st.integers(0, 400)).map(lambda cut: cut[0][: cut[1]])


@given(st.binary(max_size=60) | CUT)
def test_any_bytes_are_a_record_or_refused(line: bytes) -> None:
    """Nothing else happens, whatever was cut or written."""
    try:
        record = decode(line)
    except BadRequest as refused:
        assert "damaged" in refused.message
    else:
        assert decode(encode(record)) == record


@given(st.lists(RECORDS, max_size=12))
def test_a_backup_of_what_was_restored_is_the_same(records: list[Record]) -> None:
    """Line for line."""
    asyncio.run(out_and_in(modelled(), records))


@pytest.mark.parametrize("other", [embedded, shared])
@settings(max_examples=2)
@given(records=st.lists(RECORDS, min_size=20, max_size=30))
def test_it_is_the_same_in_stores_of_any_kind(other: Opening, records: list[Record]) -> None:
    """Also the other way."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(out_and_in(other(Path(folder)), records))


async def out_and_in(opening: AbstractAsyncContextManager[Installation], records: list[Record]) -> None:
    """From the models into this one, and from there into models again. The order of users is the stores' own, and so is
    that of a user's placements."""
    async with modelled() as first, opening as second, modelled() as third:
        await filled(first, records)
        lines = await first.backup()
        counts = await second.restore(lines)
        between = await second.backup()
        await third.restore(between)
        after = await third.backup()

    assert after == lines
    assert sorted(between) == sorted(lines)
    assert decode(lines[-1]) == counts


async def filled(installation: Installation, records: list[Record]) -> None:
    """Told to the ports; turns are numbered in this order."""
    curator, registry = installation.curator, installation.registry
    for number, record in enumerate(records, 1):
        match record:
            case Tenant():
                await registry.keep_tenant(record)
            case Issued() if await registry.key(record.card.id) is None:
                await registry.issue(bytes.fromhex(record.digest), record.card)
            case Kept():
                turn = replace(record.turn, seq=number)
                await curator.journal.put_back(turn.scope, [replace(record, turn=turn)])
            case Memory():
                await curator.add([record])
            case Placement():
                await curator.sessions.place(record.scope, record.chain, record.placed)
