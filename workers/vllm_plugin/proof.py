"""Whether the policy is active in every process of an engine, by asking all of them anew. Believes no configuration."""

import os
from collections.abc import Sequence
from typing import Any

from workers.kv.choice import Choice
from workers.kv.errors import PolicyRefused


async def prove(client: Any, own: Choice, here: Choice | None) -> list[dict[str, Any]]:
    """Each process with its role (api, engine, worker), pid, rank and the layers that follow the policy in it; `here`
    is the choice that requests are held against in this process. PolicyRefused unless the policy is active in all of
    them; what vLLM raises when its engine is gone."""
    engine = await client.engine_core.call_utility_async("kv_report")
    workers = await client.collective_rpc("kv_report")
    return checked(own, here, engine, workers)


def checked(
    own: Choice, here: Choice | None, engine: dict[str, Any], workers: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The same from what was reported."""
    if here is None or here.key != own.key:
        raise PolicyRefused(_missing(own, "api", os.getpid()))
    if engine["key"] != own.key or not engine["layers"]:
        raise PolicyRefused(_missing(own, "engine", engine["pid"]))
    if not workers:
        raise PolicyRefused(f"{own.name} is not active: the engine in pid {engine['pid']} has no worker.")
    for worker in workers:
        # A worker knows engine and key from the last step that it ran; before the first one there are none.
        stranger = worker["engine"] is not None and (worker["engine"], worker["key"]) != (engine["pid"], own.key)
        if stranger or not worker["layers"]:
            raise PolicyRefused(_missing(own, "worker", worker["pid"]))
    api = {"role": "api", "pid": os.getpid(), "rank": 0, "layers": 0}
    return [api, *({name: told[name] for name in api} for told in (engine, *workers))]


def _missing(own: Choice, role: str, pid: int) -> str:
    return (
        f"{own.name} is not active in the {role} process {pid}. Every process needs the plug-in: the same environment, "
        "and VLLM_PLUGINS either unset or with mneme_kv in it."
    )
