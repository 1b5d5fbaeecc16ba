"""/v1/*, as raw ASGI because every request and every streamed event passes here. Bytes in, bytes out, no logic.

Measured (design.md section 4): a framework's routing and StreamingResponse cost 0.15 ms a request and 6 µs an event.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from gateway.ask import Ask
from gateway.errors import BodyTimeout, BodyTooLarge, HeadersTooLarge, MnemeError, NotAllowed
from gateway.routes.conversation import conversation
from gateway.routes.feedback import heard
from gateway.routes.host import is_local
from gateway.routes.inbox import ClientGone, Inbox, Receive, while_here
from gateway.services import Gate, Services
from gateway.tenants.meter import Toll
from gateway.upstream.client import Headers
from gateway.visits import Visit
from gateway.wire import envelope

log = logging.getLogger(__name__)

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_PREFIX = len("/v1")
_CHAT = "/chat/completions"
_MODELS = "/models"
_FEEDBACK = "/feedback"
# How paths are called in spans and log lines: ids, and whatever else somebody asks for, stay out of them.
_ROUTES = {
    f"/v1{path}".encode(): f"/v1{path}"
    for path in (_CHAT, _MODELS, _FEEDBACK, "/completions", "/embeddings", "/responses")
}
# A small body is held, so that it can be sent again when a pooled connection turns out to be dead.
_HELD = 1 << 16
_BODILESS = (204, 304)
_RATES = b"x-ratelimit-"


class V1:
    """The ASGI application of everything under /v1."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """One request, from its head to the last byte of its answer."""
        fields = dict(scope["headers"])
        route = _ROUTES.get(scope["raw_path"].partition(b"?")[0], "/v1/*")
        with self._services.visits.open(scope["method"], route, fields) as visit:
            client = AsgiClient(send, visit)
            try:
                await self._answer(scope, fields, receive, client, visit)
            except ClientGone:
                return
            except MnemeError as error:
                await client.refuse(error)
            except Exception:  # the last line: a bug of ours still answers in the caller's language
                log.exception("a request failed")
                await client.refuse(MnemeError("The gateway failed; its log says why."))

    async def _answer(
        self,
        scope: MutableMapping[str, Any],
        fields: Mapping[bytes, bytes],
        receive: Receive,
        client: "AsgiClient",
        visit: Visit,
    ) -> None:
        services, headers = self._services, scope["headers"]
        _check(headers, fields, services.gate)
        key, purse = await services.ring.find(fields.get(b"authorization"))
        visit.tenant = key.tenant
        method, path = scope["method"], scope["raw_path"].partition(b"?")[0][_PREFIX:].decode("latin-1")
        query = scope["query_string"].decode("latin-1")
        target = f"{path}?{query}" if query else path
        if path == _MODELS and method == "GET" and services.fleet.speaks:
            return await client.tell(200, await services.fleet.listing())
        chats = path == _CHAT and method == "POST"
        hears = path == _FEEDBACK and method == "POST"
        asks = chats or (_is_json(method, fields) and not hears)
        named = asks and bool(services.fleet.aliases)
        inbox = Inbox(receive, services.gate.body_timeout)
        body = await inbox.read(services.gate.body_limit if chats or named else _HELD)
        client.toll = await services.meter.admit(purse, body, speaks=asks)
        try:
            if hears:
                return await client.tell(200, await heard(services, key, fields, body))
            whose = conversation(services.seal.secret, key, fields, body) if services.fleet.wants_key else None
            if asks:
                passage, body = services.fleet.route(path, body, whose)
            else:
                passage = services.fleet.passage(services.fleet.default, whose)
            ask = Ask(method, target, headers, fields, body, passage, visit.request)
            story = services.story.tell(ask, key, client) if chats else services.story.pass_through(ask, client)
            await while_here(story, inbox, client.answered)
        finally:
            await services.meter.settle(client.toll)
        return None


class AsgiClient:
    """The client behind an ASGI `send`; what it is answered stands in the `visit`. `toll` is what the request has paid,
    where it had to."""

    def __init__(self, send: Send, visit: Visit) -> None:
        self._send = send
        self._visit = visit
        self.toll: Toll | None = None

    async def start(self, status: int, headers: Headers) -> None:
        """Send the head."""
        self._visit.status = status
        if status in _BODILESS:  # they may tell a length and have no body; uvicorn would hold them to their word
            headers = [pair for pair in headers if pair[0].lower() != b"content-length"]
        if self.toll:  # what the worker says of limits is about us, not about its caller
            headers = [pair for pair in headers if not pair[0].lower().startswith(_RATES)] + self.toll.told
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, chunk: bytes, *, more: bool = True) -> None:
        """Send a piece of the body; with more=False the last one."""
        self._visit.whole = not more
        if self.toll:
            self.toll.heard(chunk)
        await self._send({"type": "http.response.body", "body": chunk, "more_body": more})

    def answered(self) -> bool:
        """Whether the last byte is on its way."""
        return self._visit.whole

    async def refuse(self, error: MnemeError) -> None:
        """The error as OpenAI words it; nothing once the head has gone, so that the answer looks cut, as it is."""
        if self._visit.status:
            return
        status, body = envelope.render(error)
        # What is left of the body is not waited for.
        more = ((b"connection", b"close"),) if isinstance(error, BodyTimeout | BodyTooLarge) else ()
        await self.tell(status, body, *more, *error.headers)

    async def tell(self, status: int, body: bytes, *more: tuple[bytes, bytes]) -> None:
        """An answer of our own, in JSON."""
        head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await self.start(status, [*head, *more])
        await self.write(body, more=False)


def _is_json(method: str, fields: Mapping[bytes, bytes]) -> bool:
    return method == "POST" and b"json" in fields.get(b"content-type", b"").lower()


def _check(headers: Headers, fields: Mapping[bytes, bytes], gate: Gate) -> None:
    if sum(len(name) + len(value) for name, value in headers) > gate.header_limit:
        raise HeadersTooLarge(f"The headers are larger than {gate.header_limit} bytes.")
    if gate.local_only and not is_local(fields.get(b"host")):
        raise NotAllowed("Without MNEME_KEYS this gateway answers to localhost only.")
