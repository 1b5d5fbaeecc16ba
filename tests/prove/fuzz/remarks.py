"""What is said of answers: POST /v1/feedback with bodies that were valid once. Knows no framing."""

import json
from dataclasses import dataclass
from functools import partial

from hypothesis import strategies as st

from tests.prove.fuzz.bodies import check_refusal, mangled
from tests.prove.fuzz.found import Found, Hung, Part
from tests.prove.fuzz.line import blame
from tests.prove.fuzz.subject import BODY_LIMIT, Subject
from tests.support.raw import CHAT
from tests.support.upstream import JSON

_SPOKEN = 2
_ASKED = {"model": "m", "user": "ada", "messages": [{"role": "user", "content": "Where do the hives stand?"}]}


@dataclass(frozen=True)
class Remark:
    """A body as it is sent; the header that names whose answer it was, if one does."""

    body: bytes
    user: bytes | None


def remarks(subject: Subject) -> Part[Remark]:
    """Whatever is said of an answer: it is kept or refused here, and the worker hears nothing of it."""
    answers = [subject.ask(b"POST", CHAT, json.dumps(_ASKED).encode(), (subject.bearer, *JSON)) for _ in range(_SPOKEN)]
    traces = [(answer.header(b"x-mneme-trace") or b"").decode() for answer in answers]
    return Part("feedback", _remarks([*traces, "chatcmpl-1"]), partial(_say, subject))


def _say(subject: Subject, remark: Remark) -> None:
    subject.worker.received.clear()
    named = ((b"x-mneme-user", remark.user),) if remark.user is not None else ()
    try:
        answer = subject.ask(b"POST", b"/v1/feedback", remark.body, (subject.bearer, *JSON, *named))
    except Hung:
        if len(remark.body) > BODY_LIMIT:  # as with chats
            return
        raise
    blame(remark, [answer.status], answer.body)
    if subject.worker.received:
        raise Found("other", f"the worker was told what is said of an answer\nsent {remark!r}")
    if answer.status != 200:
        check_refusal(remark, answer.status, answer.body)
    elif set(json.loads(answer.body)) != {"object", "trace", "turn", "feedback"}:
        raise Found("other", f"feedback was answered with {answer.body!r}\nsent {remark!r}")


@st.composite
def _remarks(draw: st.DrawFn, answers: list[str]) -> Remark:
    said = {"outcome": "success", "score": 0.5, "text": "That was it.", "user": "ada"}
    told = {name: said[name] for name in draw(st.lists(st.sampled_from(list(said)), unique=True))}
    named = draw(st.sampled_from(("trace", "trace", "response_id")))
    body = mangled(draw, {named: draw(st.sampled_from(answers)), **told})
    return Remark(body, draw(st.sampled_from((None, b"ada", b"bob", b"x" * 513))))
