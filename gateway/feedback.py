"""What somebody says of an answer, as a request tells it: read and checked. Pure; never sees the answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.errors import BadRequest
from gateway.memory.thoughts import Feedback, Outcome

_KNOWN = ("trace", "response_id", "outcome", "score", "text", "user")
_BESIDE = "mneme_feedback"
_LONGEST_ID, _LONGEST_TEXT = 512, 2000


@dataclass(frozen=True, slots=True)
class Remark:
    """`of` names the answer: by its trace (x-mneme-trace), or by the id that it has itself (chatcmpl-…)."""

    of: str
    told: Feedback


def read(fields: Mapping[str, Any], now: float) -> Remark:
    """The body of POST /v1/feedback; `now` is in seconds since the epoch. BadRequest names what is wrong with it."""
    unknown = sorted(set(fields) - set(_KNOWN))
    if unknown:
        raise BadRequest(f"Feedback has no field {unknown[0]!r}; it knows {', '.join(_KNOWN)}.", param=unknown[0])
    named = [name for name in ("trace", "response_id") if fields.get(name) is not None]
    if len(named) != 1:
        raise BadRequest("Feedback names its answer by one of 'trace' and 'response_id'.", param="trace")
    told = Feedback(_outcome(fields, "outcome"), _score(fields.get("score")), _text(fields, "text"), now)
    if not told.outcome and told.score is None and not told.text:
        raise BadRequest("Feedback tells at least one of 'outcome', 'score' and 'text'.", param="outcome")
    return Remark(_id(fields, named[0]), told)


def beside(metadata: Any, now: float) -> Remark | None:
    """What the `metadata` of a question says of an earlier answer, None for nothing. Its values are strings, as OpenAI
    has them. BadRequest names what is wrong with it."""
    if not isinstance(metadata, dict) or metadata.get(_BESIDE) is None:
        return None
    outcome, text = _outcome(metadata, _BESIDE), _text(metadata, f"{_BESIDE}_text")
    return Remark(_id(metadata, f"{_BESIDE}_for"), Feedback(outcome, None, text, now))


def _outcome(fields: Mapping[str, Any], name: str) -> Outcome:
    match fields.get(name):
        case None:
            return ""
        case "success":
            return "success"
        case "failure":
            return "failure"
    raise BadRequest(f"'{name}' must be success or failure.", param=name)


def _score(score: Any) -> float | None:
    if score is None:
        return None
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise BadRequest("'score' must be a number.", param="score")
    return float(score)


def _text(fields: Mapping[str, Any], name: str) -> str:
    text = fields.get(name)
    if text is None:
        return ""
    if not isinstance(text, str) or len(text) > _LONGEST_TEXT:
        raise BadRequest(f"'{name}' must be a text of at most {_LONGEST_TEXT} characters.", param=name)
    return text


def _id(fields: Mapping[str, Any], name: str) -> str:
    id = fields.get(name)
    if not isinstance(id, str) or not 0 < len(id) <= _LONGEST_ID:
        raise BadRequest(f"'{name}' must be the id of an answer.", param=name)
    return id
