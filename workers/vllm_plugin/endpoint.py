"""/kv on the worker's origin: the proof that the policy is active, which blocks are held, and whose sessions' files are
to go. Knows no conversation."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from vllm import __version__
from vllm.v1.engine.exceptions import EngineDeadError

from workers.kv.choice import Choice
from workers.kv.errors import PolicyRefused
from workers.kv.keep import owner_key
from workers.vllm_plugin import NAME
from workers.vllm_plugin.proof import prove
from workers.vllm_plugin.requests import Door
from workers.vllm_plugin.sessions import directory_of
from workers.vllm_plugin.sessions.folder import Folder
from workers.vllm_plugin.spec import configured


class Owner(BaseModel):
    """Whose sessions: all `owner` and `owner/…` under the tenant's `salt`, as their requests named them."""

    salt: str = ""
    owner: str


class KvEndpoint:
    """Entry point of `vllm.endpoint_plugins`; vLLM loads it only if VLLM_PLUGINS names it."""

    name = NAME
    required_tasks = ("generate",)

    def __init__(self) -> None:
        self._client: Any = None
        self._own: Choice | None = None
        self._sessions: Path | None = None

    def attach_router(self, app: FastAPI) -> None:
        """All pages."""
        app.add_api_route("/kv", self.policy, methods=["GET"], response_model=None)
        app.add_api_route("/kv/requests", self.requests, methods=["GET"], response_model=None)
        app.add_api_route("/kv/forget", self.forget, methods=["POST"], response_model=None)

    async def init_state(self, engine_client: Any, state: Any, args: Namespace) -> None:
        """Before the port answers: PolicyRefused, and no server, unless the engine is under its policy throughout."""
        config = engine_client.vllm_config
        own = configured(config)
        Door.open(own, config)
        if own is None or Door.engine is None:
            return
        own.check(Door.engine)
        await prove(engine_client, own, Door.own)
        self._client, self._own, self._sessions = engine_client, own, directory_of(config)

    async def policy(self) -> JSONResponse:
        """The policy with its knobs, and the processes in which it is active as of now; 404 for a stock engine."""
        own, engine = self._own, Door.engine
        if own is None or engine is None:
            return _stock()
        try:
            processes = await prove(self._client, own, Door.own)
        except (PolicyRefused, EngineDeadError) as failed:
            return _error(503, str(failed))
        return JSONResponse(
            {
                "object": "kv.policy",
                "policy": own.name,
                "knobs": own.knobs.given(),
                "block": engine.block,
                "trained": engine.trained,
                "per_request": Door.offered(),
                "processes": processes,
                "vllm": __version__,
                "sessions": self._sessions is not None,
            }
        )

    async def requests(self) -> JSONResponse:
        """The requests that run, with the blocks that they hold: {"id", "policy", "tokens", "live": [[first, end]]}.
        `pool` is all blocks there are."""
        if self._own is None or Door.engine is None:
            return _stock()
        try:
            running = await self._client.engine_core.call_utility_async("kv_requests")
        except EngineDeadError as failed:
            return _error(503, str(failed))
        known = {"object": "kv.requests", "block": Door.engine.block, "pool": Door.engine.pool}
        return JSONResponse({**known, "requests": running})

    def forget(self, whose: Owner) -> JSONResponse:
        """Remove the files of an owner's sessions: {"object": "kv.forgotten", "files": how many}. Who does not know the
        salt can name nobody's."""
        if self._sessions is None:
            return _error(404, "This worker keeps no sessions.")
        files = Folder(self._sessions, 0).clear(owner_key(whose.salt, whose.owner))
        return JSONResponse({"object": "kv.forgotten", "files": files})


def _stock() -> JSONResponse:
    return _error(404, "This worker runs without a KV policy.")


def _error(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": {"message": message, "type": "kv_policy", "code": status}}, status)
