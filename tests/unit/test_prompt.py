"""The prompt: edits to the client's own bytes, from what memory knows."""

from typing import Any

import orjson

from gateway.admit import MODES, Key
from gateway.ask import Ask, Tale
from gateway.memory.policies.none import Nothing
from gateway.memory.records import Hit, Memory, Placed, Recall
from gateway.memory.session import settle
from gateway.prompt import Prompt, build, stripped
from gateway.question import Question, read, understand
from gateway.remember import Known

TOLD: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "one"},
    {"role": "assistant", "content": "1"},
    {"role": "user", "content": "two"},
    {"role": "assistant", "content": "2"},
    {"role": "user", "content": "three"},
]


def question(mode: str = "on", **fields: Any) -> Question:
    """The question in a body with these fields."""
    ask, tale = Ask("POST", "/", [], {}, orjson.dumps({"messages": TOLD, **fields})), Tale("x", mode)
    request = read(ask, MODES[mode], tale)
    assert request
    found = understand(
        ask,
        request,
        Key("t", "u"),
        MODES[mode],
        tale,
        policies={"none": Nothing()},
        default="none",
        budget=500,
        now=0.0,
    )
    assert found
    return found


def fact(text: str = "You like tea.") -> Recall:
    """One memory found."""
    return Recall((Hit(Memory("m", question().scope, "old", text), 1.0, {}),))


def prompt(asked: Question, placed: dict[int, str] | None = None, salt: str = "", **known: Any) -> Prompt:
    """The prompt when these turns had got these texts before."""
    keys = asked.past.chains
    places = {keys[turn]: Placed("s", "t", text) for turn, text in (placed or {}).items()}
    return build(asked, Known(settle(asked.scope, None, keys, places, 0.0), 500, **known), salt)


def contents(body: bytes) -> list[Any]:
    """What each message says."""
    return [message["content"] for message in orjson.loads(body)["messages"]]


def test_with_nothing_known_the_body_is_the_client_s() -> None:
    """Byte for byte; there is no second prompt to fall back on."""
    asked = question(seed=1)
    made = prompt(asked)

    assert (made.body, made.plain, made.text) == (asked.request.raw, None, "")


def test_what_was_recalled_stands_beside_the_last_user_text() -> None:
    """Before it, after the whole history."""
    made = prompt(question(), recall=fact())

    assert contents(made.body)[:-1] == contents(question().request.raw)[:-1]
    assert contents(made.body)[-1] == f"{made.fitted.text}\n\nthree"
    assert made.plain == question().request.raw


def test_earlier_texts_are_replayed_where_they_stood() -> None:
    """Exactly as they were."""
    made = prompt(question(), {0: "A", 1: "B"})

    assert contents(made.body) == ["Be brief.", "A\n\none", "1", "B\n\ntwo", "2", "three"]
    assert made.text == "A\nB"


def test_a_turn_that_was_seen_gets_the_text_it_had() -> None:
    """A retry or a tool step."""
    assert contents(prompt(question(), {2: "C"}).body)[-1] == "C\n\nthree"


def test_a_caller_who_does_not_read_gets_no_replay() -> None:
    """Mode write injects nothing at all."""
    asked = question("write")

    assert prompt(asked, {0: "A", 1: "B"}).body == asked.request.raw


def test_compaction_takes_whole_turns_and_their_texts_but_no_system_prompt() -> None:
    """The plain prompt is compacted as well."""
    made = prompt(question(), {0: "A", 1: "B"}, first_kept=1)

    assert contents(made.body) == ["Be brief.", "B\n\ntwo", "2", "three"]
    assert made.plain
    assert contents(made.plain) == ["Be brief.", "two", "2", "three"]


def test_what_left_the_prompt_may_be_recalled_into_it() -> None:
    """A text that the remaining turns still hold may not."""
    assert prompt(question(), recall=fact("one"), first_kept=1).fitted.memories == ("m",)
    assert prompt(question(), recall=fact("two"), first_kept=1).fitted.memories == ()


def test_the_salt_comes_unless_the_client_brings_its_own() -> None:
    """Ours goes with the rewritten prompt only."""
    ours, theirs = prompt(question(), salt="S"), prompt(question(cache_salt="mine"), salt="S")

    assert orjson.loads(ours.body)["cache_salt"] == "S"
    assert ours.plain == question().request.raw
    assert orjson.loads(theirs.body)["cache_salt"] == "mine"


def test_our_own_member_never_reaches_the_worker() -> None:
    """Neither in the prompt, nor in the one to fall back on, nor when memory is off."""
    asked = question(memory={"tokens": 300})
    made = prompt(asked, recall=fact())

    assert made.plain == stripped(asked.request) == question().request.raw
    assert "memory" not in orjson.loads(made.body)


def test_a_user_message_that_takes_no_text_gets_none() -> None:
    """And nothing is counted as injected."""
    asked = question(messages=[{"role": "user", "content": None}])
    made = prompt(asked, recall=fact())

    assert (made.body, made.fitted.tokens, made.fitted.memories) == (asked.request.raw, 0, ())
