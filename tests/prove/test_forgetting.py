"""A slice of the forgetting that `make prove` shows, and that what is left would be found."""

from dataclasses import replace
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.prove.forgetting.run import Forgot, forgetting
from tests.prove.forgetting.search import forms, in_files, in_redis
from tests.prove.parts import forgetting_verdicts
from tests.support.redis_server import redis_server

WORD = "zanzibarquuxes"


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_nothing_is_left_of_who_was_forgotten_in_mid_answer() -> None:
    """Over a fleet: no turn that was under way is learned, no file and no key holds a word, nobody else lost anything,
    and no altered certificate is genuine."""
    verdicts = forgetting_verdicts("a slice", await forgetting(1, True, lambda what: None))

    assert [verdict for verdict in verdicts if not verdict.good] == []


@pytest.mark.parametrize("form", forms(WORD))
@pytest.mark.parametrize("before", [b"", b"x", b"xy", b"xyz"])
def test_a_word_is_found_in_every_form(tmp_path: Path, form: bytes, before: bytes) -> None:
    """Wherever in a file of whatever name, and in names."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(before + form + before)
    (tmp_path / f"of {WORD}").touch()
    (tmp_path / "other").write_bytes(form[:6] + b"!" + form[6:])

    assert in_files(tmp_path, [WORD, "absent"]) == {WORD: {"deep/file", f"of {WORD}"}}
    assert in_files(tmp_path, [WORD], ("deep",)) == {WORD: {f"of {WORD}"}}


async def test_a_word_is_found_in_every_kind_of_key() -> None:
    """Names and values, of all types that there are."""
    with redis_server() as server:
        async with Redis.from_url(server.url) as client:
            await client.set(WORD, "value")
            await client.set("string", WORD)
            await client.hset("hash", mapping={"field": WORD})
            await client.hset("field", mapping={WORD: "1"})
            await client.zadd("zset", {WORD: 1.0})
            await client.sadd("set", WORD)
            await client.rpush("list", WORD)
            await client.xadd("stream", {"who": WORD})
            await client.xgroup_create("group", WORD, mkstream=True)
            await client.set("other", "nothing")
        found = await in_redis(server.url, [WORD])

    kinds = ("string", "hash", "field", "zset", "set", "list", "stream", "group", WORD)
    assert found == {WORD: {repr(name.encode()) for name in kinds}}


@pytest.mark.parametrize("field", ["learned", "left", "lost", "forged", "doubted"])
def test_one_of_anything_is_too_much(field: str) -> None:
    """And so is a search that would not have found the word before."""
    good = Forgot(users=1, begun=3, seen=5, altered=300)

    assert all(verdict.good for verdict in forgetting_verdicts("good", good))
    assert not all(verdict.good for verdict in forgetting_verdicts("bad", replace(good, **{field: ["it"]})))  # type: ignore[arg-type]
    assert not all(verdict.good for verdict in forgetting_verdicts("blind", replace(good, seen=0)))
