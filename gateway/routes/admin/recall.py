"""/admin/recall: what would the worker be sent for these messages? Asks as the story does, and keeps nothing."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from gateway.admit import LOCAL, MODES, Key
from gateway.ask import Ask, Tale
from gateway.errors import BadRequest
from gateway.prompt import stripped
from gateway.question import Question, understand
from gateway.routes.admin.door import Guarded
from gateway.routes.admin.examples import HIT, shown
from gateway.routes.admin.models import Preview
from gateway.routes.admin.render import answer
from gateway.routes.admin.whose import NamedUser, Served, Tenant
from gateway.services import Services
from gateway.upstream.worker import Worker
from gateway.wire import chat

router = APIRouter(tags=["recall"], route_class=Guarded)

_ASKED = {
    "model": "mneme-reader",
    "messages": [{"role": "user", "content": "Where does my sister keep bees?"}],
    "memory": {"policy": "verbatim", "tokens": 800},
}
_PREVIEW = {
    "policy": "verbatim",
    "skipped": [],
    "fresh": True,
    "text": "<mneme-memory …>",
    "tokens": 42,
    "memories": [HIT.memory.id],
    "pinned": [],
    "hits": [HIT],
    "replayed": "",
    "first_kept": 0,
    "body": '{"model": "mneme-reader", "messages": […]}',
    "millis": {"recall": 4.2},
}
_CHAT = {"required": True, "content": {"application/json": {"schema": {"type": "object"}, "example": _ASKED}}}


@router.post("/recall", response_model=Preview, responses=shown(_PREVIEW), openapi_extra={"requestBody": _CHAT})
async def preview_recall(
    services: Served,
    tenant: Tenant,
    user: NamedUser,
    request: Request,
    session: Annotated[str | None, Query(max_length=512, description="As X-Mneme-Session would name it.")] = None,
) -> Response:
    """What a chat completion with this body would send to the worker, and why. No turn, placement or trace is kept.

    The body is a whole chat completion's. Its user is the query's `user`, or else whom the body itself names.
    """
    path, given = "/chat/completions", await request.body()
    passage, body = services.fleet.route(path, given)
    ask = Ask("POST", path, [], {}, body, passage)
    tale = Tale("", "read")
    question = _question(services, ask, tenant, user, session, tale)
    if question is None:
        return answer(_nothing(ask, tale))
    return answer(await _preview(services, question, passage.worker, tale))


def _question(services: Services, ask: Ask, tenant: str, user: str, session: str | None, tale: Tale) -> Question | None:
    story = services.story
    speaker = user or (LOCAL.user if services.gate.local_only else "")
    question = understand(
        ask,
        chat.read(_bytes(ask)),
        Key(tenant, speaker),
        MODES["read"],
        tale,
        policies=story.policies,
        default=story.default_policy,
        budget=story.memory_tokens,
        now=story.clock(),
    )
    if question is None:
        if "no-user" in tale.skipped:
            raise BadRequest("Name the user: ?user=…, or in the body.", param="user")
        return None
    scope = replace(question.scope, user=user) if user else question.scope
    return replace(question, scope=scope, session=session or question.session)


async def _preview(services: Services, question: Question, worker: Worker, tale: Tale) -> dict[str, Any]:
    story = services.story
    with story.telemetry.verb("preview", tale.millis):
        known = await story.rememberer.remember(question, tale)
        prompt = await story.scribe.write(question, known, worker, tale)
    fresh, fitted = known.place.fresh, prompt.fitted
    return {
        "policy": question.policy.name,
        "skipped": tale.skipped,
        "fresh": fresh,
        "text": fitted.text,
        "tokens": fitted.tokens,
        "memories": fitted.memories,
        "pinned": known.pinned or (),
        "hits": fitted.hits,
        "replayed": prompt.text.removesuffix(fitted.text).rstrip("\n"),
        "first_kept": known.first_kept,
        "body": prompt.body.decode(),
        "millis": tale.millis,
    }


def _nothing(ask: Ask, tale: Tale) -> dict[str, Any]:
    """The body as it passes when memory stays off for it."""
    return {
        "policy": None,
        "skipped": tale.skipped,
        "fresh": False,
        "text": "",
        "tokens": 0,
        "memories": [],
        "pinned": [],
        "hits": [],
        "replayed": "",
        "first_kept": 0,
        "body": stripped(chat.read(_bytes(ask))).decode(),
        "millis": tale.millis,
    }


def _bytes(ask: Ask) -> bytes:
    if not isinstance(ask.body, bytes):
        raise TypeError("the door has read the body")
    return ask.body
