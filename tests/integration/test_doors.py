"""Who gets in, under which name, and what a request may ask of memory: refused before the worker hears of it."""

import re
from collections.abc import AsyncIterator

import orjson
import pytest
import pytest_asyncio

from tests.integration.conftest import House
from tests.integration.test_splice import ANSWER, FACT, QUESTION, remember
from tests.support.gateway import running_gateway
from tests.support.raw import CHAT, KEY, Headers, Response, ask, chat
from tests.support.upstream import Reply, scripted_upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEAM = (b"authorization", b"Bearer team-key")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def team(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A house with issued keys: one for many users, one for a single one, and a key for its worker."""
    keys = "team-key:acme,solo-key:bob:single-user"
    async with (
        scripted_upstream() as worker,
        running_gateway(
            tmp_path_factory.mktemp("data"), worker.url, drain_seconds=1.0, keys=keys, upstream_key="worker-key"
        ) as gateway,
    ):
        yield House(worker, gateway)


def error(answer: Response) -> tuple[int, str, str | None]:
    """Status, type and code of an OpenAI-shaped error."""
    told = answer.json()["error"]
    assert set(told) == {"message", "type", "param", "code"}
    return answer.status, told["type"], told["code"]


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ((b"authorization", b""),),
        ((b"authorization", b"Bearer"),),
        ((b"authorization", b"Bearer  "),),
        ((b"authorization", b"Basic bW5lbWUtbG9jYWw6"),),
        ((b"authorization", b"mneme-local"),),
        ((b"authorization", b"Bearer mneme-loca"),),
        ((b"authorization", b"Bearer mneme-local, x"),),
        ((b"authorization", b"Bearer \xff\xfe"),),
    ],
)
@pytest.mark.parametrize("target", [CHAT, b"/v1/models", b"/v1/anything"])
async def test_without_a_known_key_nothing_is_asked(house: House, headers: Headers, target: bytes) -> None:
    """401 in OpenAI's shape, on every path, and the worker hears nothing."""
    answer = await ask(house.port, b"POST", target, b"{}", headers)

    assert (error(answer), house.worker.received) == ((401, "invalid_request_error", "invalid_api_key"), [])


async def test_a_scheme_is_spelled_in_any_case(house: House) -> None:
    """RFC 9110: the scheme's name is case-insensitive."""
    assert (await ask(house.port, b"GET", b"/v1/x", headers=((b"authorization", b"bEARER mneme-local"),))).status == 200


@pytest.mark.parametrize(
    "host", [b"evil.example", b"evil.example:8080", b"localhost.evil.example", b"127.0.0.1.nip.io", b""]
)
async def test_a_page_that_rebinds_its_name_is_refused(house: House, host: bytes) -> None:
    """While no key guards the gateway, it answers only to its own names."""
    answer = await ask(house.port, b"GET", b"/v1/models", headers=((b"host", host), KEY))

    assert (error(answer)[:2], house.worker.received) == ((403, "permission_error"), [])


@pytest.mark.parametrize("host", [b"localhost", b"LOCALHOST:80", b"127.0.0.1:8080", b"[::1]", b"[::1]:8080"])
async def test_its_own_names_are_answered(house: House, host: bytes) -> None:
    """Loopback, with and without a port."""
    assert (await ask(house.port, b"GET", b"/v1/x", headers=((b"host", host), KEY))).status == 200


async def test_with_keys_any_name_is_answered(team: House) -> None:
    """A page cannot guess a key, so behind one the name does not matter."""
    assert (await ask(team.port, b"GET", b"/v1/x", headers=((b"host", b"gateway.example"), TEAM))).status == 200


async def test_the_local_key_opens_nothing_once_keys_are_issued(team: House) -> None:
    """The default key is for the keyless default only."""
    assert (await ask(team.port, b"GET", b"/v1/x")).status == 401


async def test_the_worker_gets_the_workers_key(team: House) -> None:
    """One key is exchanged for the other."""
    team.worker.received.clear()

    await ask(team.port, b"GET", b"/v1/x", headers=(TEAM,))

    assert [v for n, v in team.worker.received[0].headers if n == b"authorization"] == [b"Bearer worker-key"]


async def test_a_key_of_many_users_without_a_user_has_no_memory(team: House) -> None:
    """Nobody was named, so memory is off and says so."""
    answer = await ask(
        team.port, b"POST", CHAT, orjson.dumps({"messages": [{"role": "user", "content": FACT}]}), (TEAM,)
    )

    assert (answer.header(b"x-mneme-mode"), answer.skipped) == (b"off", [b"no-user"])


@pytest.mark.parametrize("mode", [b"off", b"read", b"write", b"on", b" ON "])
async def test_a_mode_is_told_back(house: House, mode: bytes) -> None:
    """The four words, in any case."""
    answer = await chat(house.port, "Hello there", (b"x-mneme-memory", mode))

    assert (answer.status, answer.header(b"x-mneme-mode")) == (200, mode.strip().lower())


async def test_read_recalls_and_does_not_learn(house: House) -> None:
    """What is asked in mode read leaves nothing behind."""
    await remember(house)

    told = await chat(house.port, QUESTION + " Only reading.", (b"x-mneme-memory", b"read"))

    journal = house.gateway.services.telemetry.turns
    before = journal.labels("final")._value.get()
    house.worker.reply(ANSWER)
    await chat(house.port, "Only reading.", (b"x-mneme-memory", b"read"))
    assert (int(told.header(b"x-mneme-count") or 0) > 0, journal.labels("final")._value.get()) == (True, before)


async def test_write_learns_and_does_not_recall(house: House) -> None:
    """The prompt is the client's own, but for the salt."""
    await remember(house)

    told = await chat(house.port, QUESTION + " Only writing.", (b"x-mneme-memory", b"write"))

    assert (told.header(b"x-mneme-count"), b"mneme-memory" in house.worker.received[0].body) == (b"0", False)


@pytest.mark.parametrize(
    ("headers", "memory"),
    [
        (((b"x-mneme-memory", b"maybe"),), None),
        (((b"x-mneme-memory", b"\xff"),), None),
        ((), "on"),
        ((), []),
        ((), {"policy": "nonsense"}),
        ((), {"policy": 1}),
        ((), {"tokens": -1}),
        ((), {"tokens": True}),
        ((), {"tokens": "many"}),
        ((), {"at": "yesterday"}),
        ((), {"at": -1}),
        ((), {"at": []}),
        ((), {"unknown": 1}),
        (((b"x-mneme-user", b"u" * 600),), None),
    ],
)
async def test_a_bad_option_is_refused_before_the_worker_is_asked(
    house: House, headers: Headers, memory: object
) -> None:
    """400 that names the option."""
    fields = {"memory": memory} if memory is not None else {}

    answer = await chat(house.port, "Hello there", *headers, **fields)

    assert (error(answer)[:2], house.worker.received) == ((400, "invalid_request_error"), [])
    assert answer.json()["error"]["param"]


@pytest.mark.parametrize("user", [b"a:b", b"*", b"../../etc", b"' OR 1=1 --", "ü😀".encode(), b"\xe9", b"a|b,c%00"])
async def test_an_odd_user_id_is_a_user_id(house: House, user: bytes) -> None:
    """Delimiters, wildcards and other alphabets are just letters: each id has a memory of its own."""
    house.worker.reply(ANSWER)

    await chat(house.port, FACT, (b"x-mneme-user", user))

    mine = await chat(house.port, QUESTION, (b"x-mneme-user", user))
    other = await chat(house.port, QUESTION, (b"x-mneme-user", user + b"x"))
    assert (mine.header(b"x-mneme-count"), other.header(b"x-mneme-count")) == (b"1", b"0")


async def test_a_path_outside_v1_is_not_the_workers(house: House) -> None:
    """Neither a path elsewhere nor one that only decodes to /v1 is forwarded."""
    answers = [await ask(house.port, b"GET", path) for path in (b"/", b"/v2/models", b"/v1x", b"/%76%31/models")]

    assert ([error(answer)[0] for answer in answers], house.worker.received) == ([404] * 4, [])


async def test_the_worker_is_not_named_by_the_request(house: House) -> None:
    """An absolute target and a path that looks like another host both reach our worker."""
    await ask(house.port, b"GET", b"http://evil.example/v1/x")
    await ask(house.port, b"GET", b"/v1//evil.example/x")

    assert [received.target for received in house.worker.received] == [b"/v1/x", b"/v1//evil.example/x"]


async def test_a_hundred_users_are_not_a_hundred_time_series(house: House) -> None:
    """Neither a user, a session, a model nor a path becomes a label."""
    await chat(house.port, "Hello there", (b"x-mneme-user", b"u-first"))
    before = await ask(house.port, b"GET", b"/metrics")

    for i in range(100):
        house.worker.reply(Reply())
        extra = ((b"x-mneme-user", b"u-%d" % i), (b"x-mneme-session", b"s-%d" % i))
        await chat(house.port, f"Hello there {i}", *extra, model=f"m-{i}")

    after = await ask(house.port, b"GET", b"/metrics")
    names = [
        {line.rpartition(b" ")[0] for line in page.body.splitlines() if not line.startswith(b"#")}
        for page in (before, after)
    ]
    assert names[0] == names[1]
    assert not re.search(rb"u-\d|s-\d|m-\d", after.body)
