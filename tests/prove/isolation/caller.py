"""Asks gateways over connections of its own that stay open, and has every answer searched. Knows no operation."""

import asyncio
from collections.abc import Collection
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode

import orjson

from tests.prove.isolation.people import Person
from tests.prove.isolation.witness import Witness
from tests.support.raw import CHAT, Headers, Response, Wire, wire

ADMIN_KEY = "the operator's key of the tests"
_JSON = (b"content-type", b"application/json")
_PATIENCE = 900.0  # on a machine that has other things to do
_TRIES = 10


@dataclass
class Caller:
    """One client after the other: a call is answered before the next one. `ports` are the gateways'."""

    witness: Witness
    ports: tuple[int, ...]
    _open: dict[int, tuple[AsyncExitStack, Wire]] = field(default_factory=dict)
    _calls: int = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        for stack, _ in self._open.values():
            await stack.aclose()

    async def chat(
        self, body: dict[str, Any], headers: Headers, allowed: Collection[bytes], who: str, key: str
    ) -> Response:
        """A chat completion with this key; its answer may hold canaries that are `allowed`."""
        bearer = (b"authorization", b"Bearer " + key.encode())
        answer = await self._ask(b"POST", CHAT, orjson.dumps(body), (bearer, _JSON, *headers))
        self.witness.look("answers", answer.body, allowed, who)
        self.witness.look("headers of answers", b"\n".join(value for _, value in answer.headers))
        return answer

    async def admin(
        self, where: str, method: str, path: str, person: Person | None, body: Any = None, **options: Any
    ) -> Response:
        """A call under /admin about this person, or about nobody; it may tell what they said. `options` go into the
        query, but for `headers` and `raw`, a body as it stands."""
        headers, raw = options.pop("headers", ()), options.pop("raw", None)
        query = {"tenant": person.tenant, "user": person.name} if person else {}
        target = f"/admin{quote(path)}?{urlencode({**query, **options})}".encode()
        data = raw if raw is not None else b"" if body is None else orjson.dumps(body)
        bearer = (b"authorization", b"Bearer " + ADMIN_KEY.encode())
        return await self._insist(where, person, method.encode(), target, data, (bearer, _JSON, *headers))

    async def feedback(self, where: str, person: Person, told: dict[str, Any]) -> Response:
        """What this person says of an answer; it is answered with what was kept of it."""
        bearer = (b"authorization", b"Bearer " + person.key.encode())
        data = orjson.dumps({**told, "user": person.name})
        return await self._insist(where, person, b"POST", b"/v1/feedback", data, (bearer, _JSON))

    async def get(self, where: str, target: bytes, headers: Headers = ()) -> Response:
        """Anything that nobody's words may stand in."""
        answer = await self._ask(b"GET", target, b"", headers)
        self.witness.look_blindly(where, answer.body)
        return answer

    async def _insist(
        self, where: str, person: Person | None, method: bytes, target: bytes, body: bytes, headers: Headers
    ) -> Response:
        for _ in range(_TRIES):
            answer = await self._ask(method, target, body, headers)
            self.witness.look(where, answer.body, person.said if person else (), person.shown if person else "")
            if answer.status != 503:
                break
            self.witness.away += 1  # a store did not answer in time: no wrong answer, and none to learn from
            await asyncio.sleep(1)
        return answer

    async def _ask(self, method: bytes, target: bytes, body: bytes, headers: Headers) -> Response:
        """One gateway after the other. The server may close a connection that it has answered an error on."""
        self._calls += 1
        port = self.ports[self._calls % len(self.ports)]
        async with asyncio.timeout(_PATIENCE):
            for _ in range(2):
                line = await self._line(port)
                try:
                    answer = await line.ask(method, target, body, headers)
                except (asyncio.IncompleteReadError, ConnectionError):
                    await self._hang_up(port)
                    continue
                if answer.header(b"connection") == b"close":
                    await self._hang_up(port)
                return answer
        raise ConnectionError("the gateway closes every connection")

    async def _line(self, port: int) -> Wire:
        if port not in self._open:
            stack = AsyncExitStack()
            self._open[port] = stack, await stack.enter_async_context(wire(port))
        return self._open[port][1]

    async def _hang_up(self, port: int) -> None:
        await self._open.pop(port)[0].aclose()
