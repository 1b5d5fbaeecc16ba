"""An operator at the real gateway: asks /admin over a socket, and speaks as users do. Knows no store."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.gateway import Running, running_gateway
from tests.support.upstream import Reply, Upstream, scripted_upstream

KEYS = "acme-key:acme,globex-key:globex"
_SAID = (
    b'{"id":"1","object":"chat.completion","choices":[{"index":0,"finish_reason":"stop",'
    b'"message":{"role":"assistant","content":"Thank you for telling me."}}]}'
)


@dataclass(frozen=True)
class Desk:
    """An operator at the gateway. `client` sends no key: it asks from loopback, as localhost."""

    gateway: Running
    worker: Upstream
    client: httpx.AsyncClient

    async def chat(self, user: str, text: str, *, session: str, tenant: str = "acme") -> httpx.Response:
        """Say something as a user of a tenant, in a session; the answer has been read and the turn indexed."""
        said = await self.client.post(
            "/v1/chat/completions",
            json={"model": "m", "messages": [{"role": "user", "content": text}]},
            headers={"authorization": f"Bearer {tenant}-key", "x-mneme-user": user, "x-mneme-session": session},
        )
        assert said.status_code == 200
        await self.gateway.indexed()
        return said

    async def note(self, user: str, text: str, *, tenant: str = "acme", **fields: Any) -> dict[str, Any]:
        """A note, as the gateway tells it back."""
        whose = {"tenant": tenant, "user": user}
        made = await self.client.post("/admin/memories", params=whose, json={"text": text, **fields})
        assert made.status_code == 201, made.text
        memory: dict[str, Any] = made.json()
        return memory

    async def get(self, path: str, *, tenant: str = "acme", **params: Any) -> Any:
        """What a GET under /admin tells; its status must be 200."""
        told = await self.client.get(f"/admin{path}", params={"tenant": tenant, **params})
        assert told.status_code == 200, told.text
        return told.json()

    async def post(self, path: str, body: Any = None, *, tenant: str = "acme", **params: Any) -> Any:
        """What a POST under /admin tells; its status must be 200."""
        told = await self.client.post(f"/admin{path}", params={"tenant": tenant, **params}, json=body)
        assert told.status_code == 200, told.text
        return told.json()

    async def issue(self, kind: str = "per-user", *, tenant: str = "acme", **fields: Any) -> dict[str, Any]:
        """A new key as the gateway tells it: its secret and its card."""
        whose = {} if kind == "admin" else {"tenant": tenant}
        made = await self.client.post("/admin/keys", params=whose, json={"kind": kind, **fields})
        assert made.status_code == 201, made.text
        told: dict[str, Any] = made.json()
        return told

    async def pages(self, path: str, **params: Any) -> list[list[Any]]:
        """Every page of a listing."""
        page = await self.get(path, **params)
        found = [page["items"]]
        while page["cursor"] is not None:
            page = await self.get(path, cursor=page["cursor"], **params)
            found.append(page["items"])
        return found


@asynccontextmanager
async def open_desk(data: Path, **settings: Any) -> AsyncIterator[Desk]:
    """A desk over a data directory: two tenants with per-user keys, and no admin key unless `settings` say so."""
    async with scripted_upstream() as worker:
        worker.default = Reply(chunks=(_SAID,))
        async with (
            running_gateway(data, worker.url, **{"keys": KEYS, "drain_seconds": 5.0, **settings}) as gateway,
            httpx.AsyncClient(base_url=gateway.url, timeout=60) as client,
        ):
            yield Desk(gateway, worker, client)
