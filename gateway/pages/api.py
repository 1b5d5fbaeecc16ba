"""The admin API as a page asks it: inside the process, under the key of whoever looks. Knows no route and no page."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import partial
from typing import Any
from urllib.parse import quote

import httpx
import orjson
from starlette.responses import Response

from gateway.errors import Turned

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Message, Receive, Send], Awaitable[None]]

_BASE = "http://mneme"
_NO_LIMIT = httpx.Timeout(None)  # nothing is connected to: the API has limits of its own


class Api:
    """/admin, asked for one browser's request: `scope` is that request's, so that the API sees who is connected and
    under which name; `key` is the admin key that was shown at the login, "" for none."""

    def __init__(self, desk: Asgi, scope: Mapping[str, Any], key: str) -> None:
        self._desk = desk
        self._scope = scope
        self._key = key

    def under(self, key: str) -> "Api":
        """The same under another key."""
        return Api(self._desk, self._scope, key)

    async def get(self, path: str, **query: Any) -> Any:
        """What /admin tells. Turned when it does not; values of None, "" and () are left out of the query."""
        return await self._ask("GET", path, query)

    async def post(self, path: str, body: Any = None, **query: Any) -> Any:
        """What an act gave."""
        return await self._ask("POST", path, query, body)

    async def put(self, path: str, body: Any, **query: Any) -> Any:
        """What an act gave."""
        return await self._ask("PUT", path, query, body)

    async def patch(self, path: str, body: Any, etag: str, **query: Any) -> Any:
        """The next version of what has this ETag."""
        return await self._ask("PATCH", path, query, body, {"if-match": etag})

    async def delete(self, path: str, **query: Any) -> Any:
        """What a removal gave."""
        return await self._ask("DELETE", path, query)

    async def health(self) -> Any:
        """What /health/ready tells, whatever its status is."""
        return (await self._answer("GET", "/health/ready", {}, None, {})).json()

    async def stream(self, path: str, query: bytes, receive: Receive, send: Send) -> None:
        """Have /admin answer the browser itself, piece by piece."""
        headers = [(name, value) for name, value in self._scope["headers"] if name not in (b"cookie", b"authorization")]
        if self._key:
            headers.append((b"authorization", f"Bearer {self._key}".encode()))
        inner = {
            name: self._scope[name]
            for name in ("type", "asgi", "http_version", "scheme", "client", "server")
            if name in self._scope
        }
        inner |= {"method": "GET", "path": f"/admin{path}", "raw_path": f"/admin{path}".encode(), "root_path": ""}
        await self._desk(inner | {"query_string": query, "headers": headers}, receive, send)

    async def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any],
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        answer = await self._answer(method, f"/admin{path}", query, body, dict(headers or {}))
        if answer.status_code >= 400:
            raise Turned(answer.status_code, _message(answer))
        return answer.json() if answer.content else None

    async def _answer(
        self, method: str, path: str, query: Mapping[str, Any], body: Any, headers: dict[str, str]
    ) -> httpx.Response:
        fields = dict(self._scope["headers"])
        headers["host"] = fields.get(b"host", b"").decode("latin-1")
        if self._key:
            headers["authorization"] = f"Bearer {self._key}"
        content = b"" if body is None else orjson.dumps(body)
        headers["content-type"] = "application/json"
        asked = {name.rstrip("_"): value for name, value in query.items() if value not in (None, "", ())}
        transport = httpx.ASGITransport(self._desk, client=self._scope.get("client") or ("", 0))
        async with httpx.AsyncClient(transport=transport, base_url=_BASE, trust_env=False, timeout=_NO_LIMIT) as client:
            return await client.request(method, path, params=asked, content=content, headers=headers)


def part(id: str) -> str:
    """An id as one part of a path."""
    return quote(id, safe="")


class Relay(Response):
    """An answer that the API gives the browser itself."""

    def __init__(self, api: Api, path: str, query: bytes) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._ask = partial(api.stream, path, query)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """As the API answers, status and all."""

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(h for h in self.raw_headers if h[0] not in own)]
            await send(message)

        await self._ask(receive, told)


def _message(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"The gateway answered with status {answer.status_code}."
