"""The door of /admin: who may enter, and how much they may bring. Knows no route's business.

Without MNEME_ADMIN_KEY only this machine may enter, and no page that a browser on it has open: not under a name of its
own (DNS rebinding: Host), and not from another site (forged requests: Origin).
"""

import hmac
import ipaddress
from collections.abc import Callable, Coroutine, Mapping, MutableMapping
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute

from gateway.errors import BadRequest, BodyTooLarge, NotAllowed, NotAuthenticated
from gateway.routes.host import is_local
from gateway.routes.inbox import ClientGone, Inbox, Receive
from gateway.services import Gate, Services

_READING = frozenset(("GET", "HEAD"))
_RELAYED = frozenset((b"forwarded", b"via", b"x-forwarded-for", b"x-real-ip"))


class Guarded(APIRoute):
    """A route that looks at who is there before it reads the body, and holds no more of it than allowed."""

    holds_body = True

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own handler, behind the door."""
        answer = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            services: Services = request.app.state.services
            enter(request, services.admin_key)
            try:
                if self.holds_body and request.method not in _READING:
                    request = await _held(request, services.gate)
                return await answer(request)
            except ClientGone:
                return Response(status_code=400)  # nobody is left to read it

        return guarded


class Streamed(Guarded):
    """A guarded route that reads its body itself, piece by piece."""

    holds_body = False


def enter(request: Request, admin_key: str) -> None:
    """Let the request pass. NotAuthenticated, NotAllowed, or BadRequest for a query that could name the wrong user."""
    fields = dict(request.scope["headers"])
    if admin_key:
        _check_key(fields.get(b"authorization", b""), admin_key.encode())
    else:
        _check_nearness(request, fields)
    try:
        unquote_to_bytes(request.scope["query_string"].decode("ascii")).decode()
    except UnicodeDecodeError:
        raise BadRequest("The query must be percent-encoded UTF-8.") from None


def _check_key(authorization: bytes, admin_key: bytes) -> None:
    scheme, _, secret = authorization.partition(b" ")
    if scheme.lower() != b"bearer" or not hmac.compare_digest(secret.strip(), admin_key):
        raise NotAuthenticated("/admin needs 'Authorization: Bearer <MNEME_ADMIN_KEY>'.")


def _check_nearness(request: Request, fields: Mapping[bytes, bytes]) -> None:
    peer = request.client.host if request.client else ""
    if not _is_loopback(peer) or not is_local(fields.get(b"host")) or _RELAYED & fields.keys():
        raise NotAllowed("Without MNEME_ADMIN_KEY, /admin answers to this machine only, asked for as localhost.")
    origin = fields.get(b"origin")
    if request.method not in _READING and origin is not None and not _is_local_origin(origin):
        raise NotAllowed("Without MNEME_ADMIN_KEY, /admin changes nothing for pages of other sites.")


def _is_loopback(peer: str) -> bool:
    try:
        return ipaddress.ip_address(peer).is_loopback
    except ValueError:
        return False


def _is_local_origin(origin: bytes) -> bool:
    try:
        return is_local(urlsplit(origin).netloc or b"?")
    except ValueError:
        return False


async def _held(request: Request, gate: Gate) -> Request:
    """The same request with its body read and known to be JSON: FastAPI would read without limit or deadline."""
    inbox = Inbox(request.receive, gate.body_timeout)
    body = await inbox.read(gate.body_limit)
    if not isinstance(body, bytes):
        raise BodyTooLarge(f"The body is larger than {gate.body_limit} bytes.")
    if body:
        try:
            orjson.loads(body)
        except orjson.JSONDecodeError as unreadable:
            raise BadRequest(f"The body is not JSON: {unreadable.msg}.") from None
    return Request(request.scope, _replay(body, request.receive))


def _replay(body: bytes, rest: Receive) -> Receive:
    told = False

    async def receive() -> MutableMapping[str, Any]:
        nonlocal told
        if told:
            return await rest()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
