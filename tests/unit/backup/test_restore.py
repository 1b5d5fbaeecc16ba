"""What is taken in of a backup that is not whole, and what the refusal says."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gateway.backup.lines import Counts, Issued, Placement, Record, decode, encode
from gateway.errors import BadRequest, Conflict
from gateway.memory.records import Kept, Scope
from gateway.tenants.records import KeyCard, Tenant
from tests.contracts.samples import ADA, BOB, memory, placed, turn
from tests.support.installation import Installation, modelled


async def filled(installation: Installation) -> None:
    """Two users, one of every kind."""
    curator, registry = installation.curator, installation.registry
    await registry.keep_tenant(Tenant("acme"))
    await registry.issue(bytes(32), KeyCard("k1", "per-user", "acme"))
    for number, scope in enumerate((ADA, BOB), 1):
        await curator.journal.put_back(scope, [Kept(turn(f"t{number}", scope, seq=number), "done")])
        await curator.add([memory(f"t{number}", scope)])
        await curator.sessions.place(scope, "chain", placed(f"t{number}"))


@pytest.fixture
async def lines() -> list[bytes]:
    """A whole backup."""
    async with modelled() as installation:
        await filled(installation)
        return await installation.backup()


@pytest.fixture
async def empty() -> AsyncIterator[Installation]:
    """Where nothing is kept."""
    async with modelled() as installation:
        yield installation


async def test_a_whole_backup_is_taken_in(empty: Installation, lines: list[bytes]) -> None:
    """Blank lines between the others are nothing."""
    counts = await empty.restore([lines[0], b"\n", *lines[1:], b""])

    assert counts == Counts(1, 1, 2, 2, 2)
    assert await empty.backup() == lines


@pytest.mark.parametrize("cut", range(10))
async def test_one_that_is_cut_is_refused(empty: Installation, lines: list[bytes], cut: int) -> None:
    """At whatever line; what was taken in by then is told, and is no more than came."""
    with pytest.raises(BadRequest, match="The last line is missing") as refused:
        await empty.restore(lines[:cut])
    left = (await empty.backup())[1:]

    assert {*left[:-1]} <= {*lines[:cut]}
    told = str(decode(left[-1]))
    assert (told in refused.value.message) == (len(left) > 1)
    assert ("Nothing was restored" in refused.value.message) == (len(left) == 1)


@pytest.mark.parametrize("cut", range(1, 10))
async def test_one_that_is_cut_within_a_line_is_refused(empty: Installation, lines: list[bytes], cut: int) -> None:
    """And the line is named."""
    with pytest.raises(BadRequest, match=f"^Line {cut + 1}: it is damaged"):
        await empty.restore([*lines[:cut], lines[cut][:-9]])


@pytest.mark.parametrize("missing", range(1, 9))
async def test_one_that_lacks_a_line_is_refused(empty: Installation, lines: list[bytes], missing: int) -> None:
    """The last line knows better."""
    with pytest.raises(BadRequest, match="is not whole: the last line tells of 1 tenants"):
        await empty.restore([line for place, line in enumerate(lines) if place != missing])


@pytest.mark.parametrize(
    "bad",
    [
        b"{",
        b"[]",
        b"{}",
        b"null",
        b'{"turn": {}, "memory": {}}',
        b'{"trace": {}}',
        b'{"turn": {"turn": {}, "state": "done"}}',
        b'{"memory": {"id": "b", "scope": {"tenant": "a", "user": "b"}, "session": "", "text": "x", "mood": "odd"}}',
        b'{"memory": {"id": "b", "scope": {"tenant": "a", "user": "b"}, "session": "", "text": "x", "at": 1e999}}',
        b'{"memory": {"id": "b", "scope": {"tenant": "a", "user": "b"}, "session": "", "text": "x", "seq": 1e20}}',
        b'{"memory": {"id": "b", "scope": {"tenant": "a", "user": "b"}, "session": "", "text": "x", "at": NaN}}',
        b'{"key": {"digest": "abc", "card": {"id": "k", "kind": "admin"}}}',
        b'{"tenant": {"name": "\xff"}}',
        b"[" * 100_000,
        b'{"tenant": {"name": "' + b"x" * (16 << 20) + b'"}}',
    ],
)
async def test_a_damaged_line_ends_it(empty: Installation, lines: list[bytes], bad: bytes) -> None:
    """It is named, and nothing after it is taken in."""
    with pytest.raises(BadRequest, match=r"^Line 6: it is "):
        await empty.restore([*lines[:5], bad, *lines[5:]])

    assert await empty.curator.memories.users("acme") == {}
    assert (await empty.curator.journal.scopes()).items in ((), (ADA,))


async def test_a_refusal_tells_no_text(empty: Installation, lines: list[bytes]) -> None:
    """Of the line that is damaged, it says where and how."""
    bad = lines[4].replace(b'"session"', b'"place"')
    with pytest.raises(BadRequest) as refused:
        await empty.restore([*lines[:4], bad])

    assert b"text of t1" in bad
    assert "text of t1" not in refused.value.message


async def test_it_begins_with_its_head(empty: Installation, lines: list[bytes]) -> None:
    """And has no second one."""
    for wrong in (lines[1:], [lines[0], *lines]):
        with pytest.raises(BadRequest, match=r"^Line \d: a backup has one head, and begins with it.") as refused:
            await empty.restore(wrong)
        assert refused.value.message.endswith("Nothing was restored.")


async def test_it_ends_with_its_end(empty: Installation, lines: list[bytes]) -> None:
    """Two backups one after the other are none."""
    with pytest.raises(BadRequest, match=r"^Line 11: it stands behind the last line"):
        await empty.restore([*lines[:-1], encode(Counts(1, 1, 2, 2, 2)), lines[1]])


async def test_another_format_is_refused(empty: Installation, lines: list[bytes]) -> None:
    """Before anything is taken in."""
    head = json.loads(lines[0])
    head["mneme"]["format"] = 2
    with pytest.raises(BadRequest, match=r"^Line 1: it is a backup of format 2; this Mneme reads format 1"):
        await empty.restore([json.dumps(head).encode(), *lines[1:]])

    assert len(await empty.backup()) == 2


async def test_what_is_there_stays(lines: list[bytes]) -> None:
    """Memories without turns are something, and so are turns without memories."""
    for fill in ("memory", "turn"):
        async with modelled() as other:
            if fill == "memory":
                await other.curator.add([memory("m", Scope("elsewhere", "eve"))])
            else:
                await other.curator.journal.append(turn("t", Scope("elsewhere", "eve")))
            before = await other.backup()
            with pytest.raises(Conflict):
                await other.restore(lines)

            assert await other.backup() == before


async def test_a_key_that_is_known_stays(empty: Installation, lines: list[bytes]) -> None:
    """Who restores has made one to do it with, and may have revoked another. A tenant becomes what the backup says."""
    await empty.registry.keep_tenant(Tenant("acme", 9.0))
    await empty.registry.issue(bytes(32), KeyCard("k1", "per-user", "acme", until=0.0))
    await empty.registry.issue(b"1" * 32, KeyCard("k2", "admin", role="operator"))
    await empty.restore(lines)

    assert [(card.id, card.until) for card in (await empty.registry.keys()).items] == [("k1", 0.0), ("k2", None)]
    assert await empty.registry.tenant("acme") == Tenant("acme", 9.0)


async def test_many_are_taken_in_in_batches(empty: Installation) -> None:
    """In the order of their conversations, however they come, and however many there are."""
    count = 700
    kept = [Kept(turn(f"t{n}", ADA, seq=n), "done") for n in range(1, count + 1)]
    memories = [memory(f"t{n}", seq=n) for n in range(count, 0, -1)]
    placements = [Placement(ADA, f"c{n}", placed(f"t{n}")) for n in range(count)]
    head = (await empty.backup())[0]
    end = Counts(0, 0, count, count, count)
    records: list[Record] = [*kept, *memories, *placements, end]
    await empty.restore([head, *map(encode, records)])

    assert decode((await empty.backup())[-1]) == end


def test_a_digest_is_of_a_key() -> None:
    """Sixty-four hex digits."""
    for digest in ("0" * 63, "0" * 65, "g" * 64, "A" * 64):
        with pytest.raises(BadRequest, match="no digest"):
            decode(encode(Issued(digest, KeyCard("k", "admin"))))

    fine = Issued("0" * 64, KeyCard("k", "admin"))
    assert decode(encode(fine)) == fine
    assert decode(encode(replace(fine, digest="f" * 64))) == replace(fine, digest="f" * 64)
