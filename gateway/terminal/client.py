"""/admin of a running gateway, over HTTP. Knows no store and no screen."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from gateway.errors import Turned
from gateway.terminal.lines import plain

_TIMEOUT = httpx.Timeout(10, connect=5)
_AWAY, _STRANGE = 503, 502


class Admin:
    """What an operator may ask. Turned when it is refused, or nobody answers; its words are fit for a terminal."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def get(self, path: str, **query: Any) -> Any:
        """What /admin tells; values of None and "" are left out of the query."""
        return await self._ask("GET", f"/admin{path}", query)

    async def patch(self, path: str, body: Any, version: int, **query: Any) -> Any:
        """The next version of what is at this one."""
        return await self._ask("PATCH", f"/admin{path}", query, json=body, headers={"if-match": f'"{version}"'})

    async def health(self) -> Any:
        """How its parts are, whatever the status is."""
        return await self._ask("GET", "/health/ready", {}, refusing=False)

    async def _ask(self, method: str, path: str, query: dict[str, Any], refusing: bool = True, **more: Any) -> Any:
        asked = {name: value for name, value in query.items() if value not in (None, "")}
        url = plain(self._client.base_url)
        try:
            answer = await self._client.request(method, path, params=asked, **more)
            told = answer.json()
        except (httpx.HTTPError, httpx.InvalidURL) as failed:
            raise Turned(_AWAY, f"{url} does not answer: {plain(failed) or type(failed).__name__}") from failed
        except ValueError:
            raise Turned(_STRANGE, f"What answers at {url} is no gateway of Mneme.") from None
        if refusing and not answer.is_success:
            raise Turned(answer.status_code, _message(told, answer.status_code))
        return told


@asynccontextmanager
async def asking(url: str, key: str) -> AsyncIterator[Admin]:
    """The gateway at a base URL without a path, under an admin key ("" for none). The key goes to no proxy."""
    headers = {b"authorization": f"Bearer {key}".encode()} if key else {}
    try:
        client = httpx.AsyncClient(base_url=url, headers=headers, timeout=_TIMEOUT, trust_env=False)
    except httpx.InvalidURL as strange:
        raise Turned(_AWAY, f"{plain(url)} is no URL: {plain(strange)}") from strange
    async with client:
        yield Admin(client)


def _message(told: Any, status: int) -> str:
    try:
        return plain(told["error"]["message"])
    except (KeyError, TypeError):
        return f"The gateway answered with status {status}."
