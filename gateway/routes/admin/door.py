"""The door of /admin: who may enter, what their role allows, and how much they may bring. Knows no route's business.

Without MNEME_ADMIN_KEY whoever brings no admin key must be this machine, and no page that a browser on it has open: not
under a name of its own (DNS rebinding: Host), and not from another site (forged requests: Origin).
"""

import ipaddress
from collections.abc import Callable, Coroutine, Mapping, MutableMapping
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute

from gateway.errors import BadRequest, BodyTooLarge, NotAllowed
from gateway.routes.admin.deeds import done
from gateway.routes.admin.roles import RULES, Rule
from gateway.routes.host import is_local
from gateway.routes.inbox import ClientGone, Inbox, Receive
from gateway.services import Gate, Services
from gateway.tenants.ring import Actor

_READING = frozenset(("GET", "HEAD"))
_RELAYED = frozenset((b"forwarded", b"via", b"x-forwarded-for", b"x-real-ip"))


class Guarded(APIRoute):
    """A route that looks at who is there before it reads the body, and holds no more of it than allowed. Its rule
    stands in roles.py; without one it cannot be built."""

    holds_body = True

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        (method,) = options["methods"]
        self.what = f"{method} /admin{path}"
        self.rule = RULES[f"{method} {path}"]
        extra = {"x-mneme-role": self.rule.role, **(options.pop("openapi_extra", None) or {})}
        super().__init__(path, endpoint, openapi_extra=extra, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own handler, behind the door."""
        answer, rule = super().get_route_handler(), self.rule

        async def guarded(request: Request) -> Response:
            services: Services = request.app.state.services
            actor = request.state.actor = await enter(request, services)
            act = answer if rule.allows(actor.role) else _refusing(rule, actor)
            try:
                if rule.allows(actor.role) and self.holds_body and request.method not in _READING:
                    request = await _held(request, services.gate)
                return await (done(request, actor, rule, self.what, act) if rule.audited else act(request))
            except ClientGone:
                return Response(status_code=400)  # nobody is left to read it

        return guarded


class Streamed(Guarded):
    """A guarded route that reads its body itself, piece by piece."""

    holds_body = False


async def enter(request: Request, services: Services) -> Actor:
    """Who comes in. NotAuthenticated, NotAllowed, or BadRequest for a query that could name the wrong user."""
    fields = dict(request.scope["headers"])
    actor = await services.ring.admin(fields.get(b"authorization"))
    if actor is None:
        _check_nearness(request, fields)
        actor = Actor("loopback", "operator")
    try:
        unquote_to_bytes(request.scope["query_string"].decode("ascii")).decode()
    except UnicodeDecodeError:
        raise BadRequest("The query must be percent-encoded UTF-8.") from None
    return actor


def _refusing(rule: Rule, actor: Actor) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    async def refuse(_: Request) -> Response:
        raise NotAllowed(f"This needs an admin key with the role {rule.role}; this one's is {actor.role}.")

    return refuse


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
