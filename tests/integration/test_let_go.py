"""Whoever opens many gateways in one process, as tests do, must not carry every one of them to the end."""

import gc
import weakref
from pathlib import Path

from tests.support.gateway import running_gateway


async def test_a_closed_gateway_is_let_go(tmp_path: Path) -> None:
    """Nothing holds its stores, embedder or journal: not even the web framework, which keeps functions of routes."""
    async with running_gateway(tmp_path, "http://127.0.0.1:9/v1") as gateway:
        async with gateway.client() as client:
            for path in ("/health/ready", "/metrics", "/admin/stats", "/admin/ui/memories"):
                assert (await client.get(path)).status_code in (200, 503), path
        services = gateway.services
        held = [weakref.ref(each) for each in (services.memories, services.journal, services.embedder)]
    del gateway, services, client
    gc.collect()

    assert [ref() for ref in held] == [None, None, None]
