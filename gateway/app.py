"""build_app(settings): the front doors over the services, opened and closed by the lifespan. No logic."""

import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from gateway import __version__
from gateway.errors import BadRequest, CallerError, MnemeError
from gateway.pages import open_pages
from gateway.pages.cookie import PATH
from gateway.routes.admin import admin
from gateway.routes.health import router as health
from gateway.routes.v1 import V1
from gateway.services import Services, Vitals
from gateway.visits import Visits

log = logging.getLogger(__name__)

_PROBED = ("/health", "/metrics")
"""Asked for by machines, again and again."""

Asgi = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]


def build_app(services: Services) -> Asgi:
    """The ASGI application: /v1 goes the short way, everything else through FastAPI."""
    v1 = V1(services)
    desk = _desk(services)

    async def app(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        # The raw path: what is forwarded is what follows /v1 as it was sent, so that must be how it begins.
        if scope["type"] == "http" and (scope["raw_path"] + b"/").startswith(b"/v1/"):
            await v1(scope, receive, send)
        elif scope["type"] == "http" and not scope["path"].startswith(_PROBED):
            await _visited(desk, services.visits, scope, receive, send)
        else:
            await desk(scope, receive, send)

    return app


async def _visited(desk: Asgi, visits: Visits, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
    with visits.open(scope["method"], "/*", dict(scope["headers"])) as visit:

        async def told(message: MutableMapping[str, Any]) -> None:
            visit.status = message.get("status", visit.status)
            visit.whole = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        try:
            await desk(scope, receive, told)
        except Exception:  # a bug of ours, answered below; from here on it would be logged again, and hung up on
            if not visit.whole:
                raise
            log.exception("a request failed")
        finally:
            visit.route = _route(scope)


def _route(scope: Mapping[str, Any]) -> str:
    """The template of the path, which holds no id; what has none is nobody's page, or one about the others."""
    template = getattr(scope.get("route"), "path", "")
    if not template:
        return "/*"
    # FastAPI tells only the part that stands in the room itself.
    return template if template.startswith("/admin") else f"/admin{template}"


def build_writer_app(vitals: Vitals) -> Asgi:
    """What a writer shows of itself: /health and /metrics."""
    desk = FastAPI(title="Mneme's writer", version=__version__, openapi_url=None)
    desk.include_router(health)
    desk.state.vitals = vitals
    return desk


def _desk(services: Services) -> FastAPI:
    desk = FastAPI(title="Mneme", version=__version__, summary="An OpenAI-compatible gateway that remembers.")
    desk.include_router(health)
    desk.state.services, desk.state.vitals = services, services.vitals
    desk.include_router(admin)
    desk.mount(PATH, open_pages(desk, services.seal.key("page"), services.closing))

    @desk.exception_handler(MnemeError)
    async def mneme_error(_: Request, error: MnemeError) -> JSONResponse:
        return JSONResponse(error.body(), status_code=error.status)

    @desk.exception_handler(HTTPException)
    async def unroutable(_: Request, error: HTTPException) -> JSONResponse:
        body = CallerError(f"{error.detail}.").body()
        return JSONResponse(body, status_code=error.status_code, headers=error.headers)

    @desk.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        refused = BadRequest(f"{where}: {first['msg']}", param=where)
        return JSONResponse(refused.body(), status_code=refused.status)

    @desk.exception_handler(Exception)
    async def broken(_: Request, error: Exception) -> JSONResponse:
        failed = MnemeError("The gateway failed; its log says why.")
        return JSONResponse(failed.body(), status_code=failed.status)

    return desk
