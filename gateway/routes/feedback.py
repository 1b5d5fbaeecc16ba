"""POST /v1/feedback: what a caller says of an answer, journalled with its turn. Answered here, and never relayed."""

from collections.abc import Mapping

import orjson

from gateway import feedback
from gateway.admit import Key, admit
from gateway.errors import BadRequest, BodyTooLarge
from gateway.services import Services
from gateway.upstream.client import Body


async def heard(services: Services, key: Key, headers: Mapping[bytes, bytes], body: Body) -> bytes:
    """What was kept of it, as JSON. BadRequest for what cannot be understood or names no user, NotFound where the
    answer is not one of this user's, MemoryUnavailable when it could not be kept."""
    if not isinstance(body, bytes):
        raise BodyTooLarge("Feedback is a few lines.")
    fields = _object(body)
    remark = feedback.read(fields, services.clock())
    scope = admit(key, headers, {"user": fields.get("user")}).scope
    if scope is None:
        raise BadRequest("Name the user whose answer it was: X-Mneme-User, or 'user'.", param="user")
    turn = await services.story.retainer.hear(scope, remark.of, remark.told)
    services.story.nudge()
    return orjson.dumps({"object": "feedback", "trace": turn.trace, "turn": turn.id, "feedback": turn.feedback})


def _object(body: bytes) -> dict[str, object]:
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as unreadable:
        raise BadRequest(f"The body is not JSON: {unreadable.msg}.") from None
    if not isinstance(fields, dict):
        raise BadRequest('Feedback is an object, such as {"trace": "…", "outcome": "success"}.')
    return fields
