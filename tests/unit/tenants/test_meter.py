"""The meter: what is estimated, what is corrected, what is told, and that a silent limiter stops nobody."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson
import pytest

from gateway.errors import MemoryUnavailable, RateLimited
from gateway.tenants.meter import Meter, Purse, Toll, estimate
from gateway.tenants.rates import LocalLimiter
from gateway.tenants.records import UNLIMITED, Level, Limits, Rate
from tests.support.model import Clock

BODY = orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "x" * 400}]})
BOTH = Purse("acme", Limits(2, 1000), "k", Limits(5, 500))


@dataclass
class House:
    """A meter over buckets in this process, and what it counted."""

    clock: Clock = field(default_factory=Clock)
    counted: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.limiter = LocalLimiter(self.clock)
        self.meter = Meter(self.limiter, self.counted.append, self.clock)

    async def told(self, purse: Purse, body: bytes = b"{}") -> dict[str, str]:
        """The headers of an answer."""
        toll = await self.meter.admit(purse, body, speaks=True)
        return {name.decode(): value.decode() for name, value in (toll.told if toll else [])}


@dataclass
class Away:
    """A limiter that fails, or says nothing."""

    silent: bool
    asked: int = 0

    async def take(self, tenant: str, rates: Sequence[Rate]) -> list[Level]:
        """See the port."""
        self.asked += 1
        if self.silent:
            await asyncio.sleep(60)
        raise MemoryUnavailable("away")

    async def correct(self, tenant: str, rates: Sequence[Rate]) -> None:
        """See the port."""
        await self.take(tenant, rates)


def toll(answer: bytes, paid: int = 10, *, speaks: bool = True, step: int = 7) -> Toll:
    """What a request has paid that was answered like this, a few bytes at a time."""
    made = Toll(BOTH, speaks, paid, [])
    for at in range(0, len(answer), step):
        made.heard(answer[at : at + step])
    return made


async def test_without_limits_nothing_is_counted() -> None:
    """No toll, no header, no bucket."""
    house = House()

    assert await house.meter.admit(Purse("acme", UNLIMITED, "k", UNLIMITED), BODY, speaks=True) is None
    await house.meter.settle(None)
    assert house.limiter._full == {}


async def test_the_headers_tell_of_the_tighter_limit() -> None:
    """As OpenAI names them: of tenant and key the one with less left."""
    assert await House().told(BOTH) == {
        "x-ratelimit-limit-requests": "2",
        "x-ratelimit-remaining-requests": "1",
        "x-ratelimit-reset-requests": "30.000s",
        "x-ratelimit-limit-tokens": "500",
        "x-ratelimit-remaining-tokens": "500",
        "x-ratelimit-reset-tokens": "0.000s",
    }


async def test_a_limit_that_there_is_not_is_not_told() -> None:
    """Nor counted."""
    assert {*await House().told(Purse("acme", Limits(2, 0), "", UNLIMITED))} == {
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
    }


async def test_one_more_is_refused_in_openais_words() -> None:
    """With how long to wait, whole seconds, rounded up."""
    house = House()
    for _ in range(2):
        await house.told(BOTH)
    house.clock.now += 0.5
    with pytest.raises(RateLimited) as refused:
        await house.told(BOTH)

    error = refused.value.body()["error"]
    assert (refused.value.status, error["type"], error["code"]) == (429, "requests", "rate_limit_exceeded")
    assert dict(refused.value.headers)[b"retry-after"] == b"30"
    assert dict(refused.value.headers)[b"x-ratelimit-remaining-requests"] == b"0"
    assert house.counted == ["refused"]


async def test_a_prompt_beyond_the_whole_limit_is_refused_as_that() -> None:
    """Waiting would not help, and it says so."""
    with pytest.raises(RateLimited, match="alone needs") as refused:
        await House().told(BOTH, BODY * 1000)

    assert refused.value.type == "tokens"


async def test_a_prompt_is_estimated_as_memory_estimates_it() -> None:
    """A picture by the piece and not by its length; what is no chat by its bytes."""
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 400_000}}
    chat = orjson.dumps({"messages": [{"role": "user", "content": [{"type": "text", "text": "Hm?"}, picture]}]})

    assert 100 <= estimate(BODY) <= 140
    assert 1000 <= estimate(chat) <= 1200
    assert estimate(b'{"input": "' + b"x" * 388 + b'"}') == 100


@pytest.mark.parametrize(
    ("answer", "due"),
    [
        (b'{"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 9, "total_tokens": 14}}', 4),
        (b'{"usage":{"prompt_tokens":1,"total_tokens":3,"prompt_tokens_details":{"cached_tokens":1}}}', -7),
        (b'{"usage":{"input_tokens":1,"input_tokens_details":{"cached_tokens":1},"total_tokens":3}}', -7),
        (b'data: {"usage": null}\n\ndata: {"usage": {"total_tokens": 30}}\n\ndata: [DONE]\n\n', 20),
        (b'data: {"x": 1}\n\n' * 12 + b"data: [DONE]\n\n", 13),
        (b'{"content": "' + b"x" * 386 + b'"}', 100),
        (b'{"content": "\\"usage\\": {\\"total_tokens\\": 0}"}', 11),
    ],
)
def test_an_estimate_is_corrected_by_the_answer(answer: bytes, due: int) -> None:
    """By its usage where it tells one, which no text within it can feign; else by its events, or its size."""
    assert toll(answer, step=len(answer)).due == due


def test_an_answer_is_heard_in_pieces() -> None:
    """However it is cut, its usage is found; only the end of it is held."""
    heard = toll(b"x" * 100_000 + b'"usage": {"total_tokens": 25}}')

    assert heard.due == 15
    assert len(heard._tail) == 1 << 14


def test_what_is_no_answer_in_words_costs_no_tokens() -> None:
    """Such as a list of models."""
    assert toll(b"x" * 1000, 0, speaks=False).due == 0


async def test_what_was_used_is_taken_afterwards() -> None:
    """The next request finds that much less, or, where less was used, more."""
    house, purse = House(), Purse("acme", UNLIMITED, "k", Limits(0, 600))
    paid = await house.meter.admit(purse, BODY, speaks=True)
    assert paid is not None
    paid.heard(b'{"usage": {"total_tokens": 400}}')
    await house.meter.settle(paid)

    assert (await house.told(purse, b"{}"))["x-ratelimit-remaining-tokens"] == "200"


@pytest.mark.parametrize("silent", [False, True])
async def test_a_limiter_that_is_away_stops_nobody(silent: bool) -> None:
    """It is told and counted; after a silence it is left alone for a while."""
    away, counted, clock = Away(silent), list[str](), Clock()
    meter = Meter(away, counted.append, clock)
    for _ in range(3):
        paid = await meter.admit(BOTH, b"{}", speaks=True)
        assert paid is not None
        assert paid.told == [(b"x-mneme-limits", b"unchecked")]

    assert away.asked == (1 if silent else 3)
    assert counted == ["unchecked"] * 3
    clock.now += 1.0
    await meter.admit(BOTH, b"{}", speaks=True)
    assert away.asked == (2 if silent else 4)


async def test_buckets_that_are_full_take_no_room() -> None:
    """Of tenants who asked long ago nothing is kept."""
    house = House()
    for number in range(12_000):
        await house.limiter.take(str(number), [Rate("r", 60, 1)])
        house.clock.now += 0.5

    assert len(house.limiter._full) <= 10_001
