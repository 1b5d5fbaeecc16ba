"""Every page and act there is, on one screen. A view asks the API and fills in a template; it decides nothing."""

from starlette.responses import Response

from gateway.pages.door import View
from gateway.pages.views import (
    access,
    conversations,
    health,
    live,
    login,
    memories,
    memory,
    people,
    playground,
    policies,
    reflections,
    watches,
)
from gateway.pages.visitor import Visitor


async def _first(visitor: Visitor) -> Response:
    return visitor.moved(visitor.url("/memories"))


VIEWS: dict[tuple[str, str], View] = {
    ("GET", "/"): _first,
    ("GET", "/login"): login.ask,
    ("POST", "/login"): login.enter,
    ("POST", "/logout"): login.leave,
    ("GET", "/memories"): memories.listing,
    ("GET", "/timeline"): memories.timeline,
    ("POST", "/bulk"): memories.bulk,
    ("POST", "/note"): memories.note,
    ("GET", "/memory"): memory.one,
    ("POST", "/memory"): memory.act,
    ("GET", "/people"): people.choices,
    ("GET", "/export"): people.export,
    ("POST", "/forget"): people.forget,
    ("GET", "/reflections"): reflections.listing,
    ("GET", "/reflection"): reflections.one,
    ("POST", "/reflection"): reflections.undo,
    ("GET", "/watches"): watches.listing,
    ("POST", "/watches"): watches.act,
    ("GET", "/access"): access.front,
    ("GET", "/access/tenant"): access.tenant,
    ("POST", "/access/tenant"): access.settle,
    ("POST", "/access/keys"): access.issue,
    ("POST", "/access/rotate"): access.rotate,
    ("POST", "/access/revoke"): access.revoke,
    ("GET", "/access/audit"): access.audit,
    ("GET", "/live/memories"): live.memories,
    ("GET", "/conversations"): conversations.listing,
    ("GET", "/trace"): conversations.trace,
    ("GET", "/live/conversation"): conversations.live,
    ("GET", "/playground"): playground.ask,
    ("POST", "/playground"): playground.show,
    ("GET", "/health"): health.show,
    ("POST", "/health/replay"): health.replay,
    ("POST", "/health/nudge"): health.nudge,
    ("POST", "/health/drain"): health.drain,
    ("GET", "/live/health"): health.live,
    ("GET", "/policies"): policies.listing,
}
