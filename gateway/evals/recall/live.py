"""A running gateway, examined through its admin API: import, search, forget. Knows nothing of what is behind it."""

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import httpx
import msgspec

from gateway.errors import UpstreamError
from gateway.evals.recall.sample import Sample, kept
from gateway.evals.recall.subject import Found, Told
from gateway.memory.policies import TABLE
from gateway.memory.policies.base import Policy
from gateway.memory.records import Hit, Scope
from gateway.memory.words import Words

_SECONDS = 300.0
_MOST_HITS = 200
_BATCH = 256  # memories of one import
_MOST_CHARS = 8192  # of a question, as /admin/search takes it


class GatewayRefused(UpstreamError):
    """The gateway did not do what was asked of it; the message says what it answered."""


@dataclass(frozen=True, slots=True)
class Live:
    """See subject.Subject. Made by `open`; `policy` cuts turns into memories as the gateway would."""

    plain: httpx.AsyncClient
    scope: Scope
    policy: Policy
    identity: dict[str, str]

    @classmethod
    @asynccontextmanager
    async def open(cls, base_url: str, admin_key: str, tenant: str) -> AsyncIterator["Live"]:
        """The gateway at `base_url`, as a new user of the tenant; GatewayRefused when it does not answer as one."""
        root = base_url.rstrip("/").removesuffix("/v1")
        sent = {"authorization": f"Bearer {admin_key}"} if admin_key else {}
        async with httpx.AsyncClient(base_url=root, headers=sent, timeout=_SECONDS) as plain:
            scope = Scope(tenant, f"eval-{secrets.token_hex(6)}")
            stats = await _json(plain, "GET", "/admin/stats", {})
            cards = (await _json(plain, "GET", "/admin/policies", {})).get("policies", [])
            card: dict[str, Any] = next((card for card in cards if card.get("default")), {})
            if card.get("name") not in TABLE:
                raise GatewayRefused(f"{root} has the policy {card.get('name')!r}, which is unknown here.")
            module, _, name = TABLE[card["name"]].partition(":")
            identity = {"where": root, "policy": str(card), "embedder": str(stats.get("embedder"))}
            yield cls(plain, scope, getattr(import_module(module), name).over(Words.none()), identity)

    async def tell(self, sample: Sample) -> Told:
        memories = kept(sample, self.policy, self.scope)
        began = time.perf_counter()
        for at in range(0, len(memories), _BATCH):
            lines = b"".join(msgspec.json.encode(m) + b"\n" for m in memories[at : at + _BATCH])
            told = await _json(self.plain, "POST", "/admin/import", _who(self.scope), lines)
            if told.get("refused"):
                raise GatewayRefused(f"{sample.name}: the gateway refused memories: {told.get('faults')}")
        return Told(len(memories), time.perf_counter() - began)

    async def ask(self, question: str, at: float) -> Found:
        """As of now: the admin API cannot be asked as at another time."""
        query = _who(self.scope) | {"q": question[:_MOST_CHARS], "k": str(_MOST_HITS)}
        began = time.perf_counter()
        found = await _json(self.plain, "GET", "/admin/search", query)
        millis = (time.perf_counter() - began) * 1000
        return Found(tuple(msgspec.convert(hit, Hit) for hit in found["hits"]), millis)

    async def forget(self) -> None:
        await _json(self.plain, "POST", "/admin/forget", _who(self.scope))


def _who(scope: Scope) -> dict[str, str]:
    return {"tenant": scope.tenant, "user": scope.user}


async def _json(
    plain: httpx.AsyncClient, method: str, path: str, query: dict[str, str], body: bytes | None = None
) -> dict[str, Any]:
    try:
        answer = (await plain.request(method, path, params=query, content=body)).raise_for_status()
        told = answer.json()
    except (httpx.HTTPError, ValueError) as failed:
        raise GatewayRefused(f"{path}: {failed}") from failed
    if not isinstance(told, dict):
        raise GatewayRefused(f"{path}: answered with something else than an object.")
    return told
