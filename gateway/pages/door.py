"""The door of the pages: who looks, whether a form is ours, and what a browser may do with what it gets.

Knows no view's business. Whatever fails becomes a page that says so; what is no view's fault is never shown in words
that anybody else wrote as HTML.
"""

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from gateway.errors import BadRequest, BodyTooLarge, MnemeError, NotAllowed, NotAuthenticated
from gateway.pages import cookie
from gateway.pages.api import Api, Asgi
from gateway.pages.cookie import Pass
from gateway.pages.visitor import Visitor
from gateway.routes.inbox import ClientGone, Inbox

View = Callable[[Visitor], Awaitable[Response]]

LOGIN = f"{cookie.PATH}/login"
_LONGEST_FORM = 256 << 10
_PATIENCE = 30.0
_LOOKING = ("GET", "HEAD")
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Door:
    """`desk` answers /admin, `passes` seals cookies, `closing` is set once the gateway stops."""

    def __init__(self, desk: Asgi, passes: Pass, closing: asyncio.Event) -> None:
        self._desk = desk
        self._passes = passes
        self._closing = closing

    def opens(self, view: View) -> Callable[[Request], Awaitable[Response]]:
        """The view, for who may look; else the login, or a page that says why not."""

        async def answer(request: Request) -> Response:
            try:
                response = await self._shown(request, view)
            except ClientGone:
                return Response(status_code=400)  # nobody is left to read it
            for name, value in {**_HEADERS, "cache-control": "no-store"}.items():
                response.headers.setdefault(name, value)
            return response

        return answer

    async def _shown(self, request: Request, view: View) -> Response:
        visitor = self._visitor(request)
        try:
            if request.method not in _LOOKING:
                visitor.form = await self._form(request, visitor)
            if request.scope["path"] != LOGIN:
                visitor.me = await visitor.api.get("/me")
            return await view(visitor)
        except MnemeError as refused:
            if refused.status == NotAuthenticated.status and request.scope["path"] != LOGIN:
                return visitor.moved(f"{LOGIN}?{urlencode({'next': _here(request)})}")
            return visitor.refused(refused)

    def _visitor(self, request: Request) -> Visitor:
        carried = request.cookies.get(cookie.NAME, "")
        key = self._passes.open(carried)
        if key is None:  # a first look, or half a day is over
            key, carried = "", self._passes.seal("")
        return Visitor(request, Api(self._desk, request.scope, key), self._passes, carried, self._closing)

    async def _form(self, request: Request, visitor: Visitor) -> list[tuple[str, str]]:
        """The fields of a form of ours. NotAllowed for anybody else's."""
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            raise NotAllowed("This was not sent by a page of ours.")
        body = await Inbox(request.receive, _PATIENCE).read(_LONGEST_FORM)
        if not isinstance(body, bytes):
            raise BodyTooLarge(f"A form may have {_LONGEST_FORM} bytes.")
        try:
            fields = parse_qsl(body.decode(), keep_blank_values=True, errors="strict")
        except ValueError:
            raise BadRequest("The form is not URL-encoded UTF-8.") from None
        given = request.headers.get("x-mneme-word") or dict(fields).get("word", "")
        if request.cookies.get(cookie.NAME) != visitor.cookie or not self._passes.proves(given, visitor.cookie):
            raise NotAllowed("This page has been open for too long: load it again.")
        return fields


class Still(StaticFiles):
    """What never changes while the gateway runs."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As any file, with the headers of a page; a browser asks again whether it has changed."""

        async def told(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                more = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                message["headers"] = [*message["headers"], *more, (b"cache-control", b"no-cache")]  # type: ignore[misc]
            await send(message)

        await super().__call__(scope, receive, told)  # type: ignore[arg-type]


def _here(request: Request) -> str:
    """Where the browser is: a part of a page is no place to come back to."""
    if request.method == "GET" and "hx-request" not in request.headers:
        return f"{request.url.path}?{request.url.query}".rstrip("?")
    return f"{cookie.PATH}/memories"
