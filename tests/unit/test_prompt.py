"""The prompt: edits to the client's own bytes, from what memory knows."""

from typing import Any

import orjson
import pytest

from gateway.admit import MODES, Key
from gateway.ask import Ask, Tale
from gateway.memory.policies.none import Nothing
from gateway.memory.records import Hit, Memory, Placed, Recall
from gateway.memory.session import settle
from gateway.prompt import Plan, Prompt, head, plan, stripped, written
from gateway.question import Question, read, understand
from gateway.remember import Known
from gateway.wire import chat
from tests.support.workers import quiet_worker, straight

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
    body = orjson.dumps({"messages": TOLD, **fields})
    ask, tale = Ask("POST", "/", [], {}, body, straight(quiet_worker())), Tale("x", mode)
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


def anchored(text: str) -> Placed:
    """A turn's text that holds something pinned."""
    return Placed("s", "t", text, pinned=True, anchored=True)


def planned(asked: Question, placed: dict[int, Placed] | None = None, **known: Any) -> Plan:
    """What is to change when this had happened at these turns."""
    places = {asked.past.chains[turn]: at for turn, at in (placed or {}).items()}
    return plan(asked, Known(settle(asked.scope, None, asked.past.chains, places, 0.0), 500, **known))


def heads(made: Plan) -> Any:
    """The messages of its head; None if it has none."""
    body = head(made.request, made.drop, made.pinned)
    return None if body is None else [(m["role"], m["content"]) for m in orjson.loads(body)["messages"]]


def prompt(asked: Question, placed: dict[int, str] | None = None, salt: str = "", **known: Any) -> Prompt:
    """The prompt when these turns had got these texts before."""
    keys = asked.past.chains
    places = {keys[turn]: Placed("s", "t", text) for turn, text in (placed or {}).items()}
    return written(plan(asked, Known(settle(asked.scope, None, keys, places, 0.0), 500, **known)), salt)


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


def test_what_left_the_prompt_is_not_learnt_either() -> None:
    """An older answer that stays may quote it, and the new one that."""
    assert prompt(question(), {0: "A", 1: "B"}, first_kept=1).text == "A\nB"


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


def test_a_head_is_spelled_as_the_client_spelled_it() -> None:
    """What shapes the prompt comes along byte for byte, what does not stays away."""
    raw = (
        b'{"seed":1,"tools" : [{"x":1.0}],"messages":[{"content":"caf\\u00e9" ,"role":"system"},'
        b'{"role":"user","content":"a"}],"chat_template_kwargs": {"t":true},"model":"m"}'
    )

    assert head(chat.read(raw)) == (
        b'{"model":"m","tools" : [{"x":1.0}],"chat_template_kwargs": {"t":true},"messages":'
        b'[{"content":"caf\\u00e9" ,"role":"system"},{"role":"user","content":""}],"add_generation_prompt":false}'
    )


def test_a_head_is_what_stands_before_the_turns() -> None:
    """Also a greeting; nothing of the turns, and nothing that was only recalled."""
    greeted = [TOLD[0], {"role": "assistant", "content": "Welcome."}, *TOLD[1:]]

    assert heads(planned(question(), {0: Placed("s", "t", "A", pinned=True)}, recall=fact())) == [
        ("system", "Be brief."),
        ("user", ""),
    ]
    assert heads(planned(question(messages=greeted))) == [
        ("system", "Be brief."),
        ("assistant", "Welcome."),
        ("user", ""),
    ]


@pytest.mark.parametrize("fields", [{}, {"tools": []}, {"tools": None}])
def test_a_conversation_may_have_no_head(fields: dict[str, Any]) -> None:
    """No system message, no tools, nothing pinned."""
    assert heads(planned(question(messages=TOLD[1:], **fields))) is None


def test_what_is_pinned_closes_the_head() -> None:
    """Where it stands at the first words that stay; at later ones it is out of a sink's reach."""
    first = planned(question(messages=TOLD[1:]), {0: anchored("P")})
    later = planned(question(), {1: anchored("P")})
    moved = planned(question(), {0: anchored("O"), 1: anchored("P")}, first_kept=1)

    assert heads(first) == [("user", "P")]
    assert heads(later) == [("system", "Be brief."), ("user", "")]
    assert heads(moved) == [("system", "Be brief."), ("user", "P")]


def test_what_was_pinned_just_now_closes_the_head_of_a_first_turn() -> None:
    """The same text as every later turn replays."""
    note = Memory("n", question().scope, "", "Call me Flint.", kind="note", pinned=True)
    made = planned(question(messages=TOLD[:2]), pinned=(note,))

    assert heads(made) == [("system", "Be brief."), ("user", made.fitted.text)]
    assert "Call me Flint." in made.fitted.text
    assert planned(question(), pinned=(note,)).pinned == ""


def test_a_sink_goes_with_the_rewritten_prompt_only() -> None:
    """As a key of vllm_xargs, beside the client's own."""
    made = written(planned(question()), sink=(b"{}", 64))
    merged = written(planned(question(vllm_xargs={"kv_window": 32})), sink=(b"{}", 64))

    assert orjson.loads(made.body)["vllm_xargs"] == {"kv_sink": 64}
    assert (made.plain, made.sunk) == (question().request.raw, b"{}")
    assert orjson.loads(merged.body)["vllm_xargs"] == {"kv_sink": 64, "kv_window": 32}


def test_a_turn_of_this_conversation_is_not_recalled_into_it() -> None:
    """Though memory holds it with its secrets taken out, so that its words are others."""
    asked = question()
    places = {asked.past.chains[1]: Placed("s", "masked")}
    masked = Recall((Hit(Memory("masked", asked.scope, "s", "my key is [removed]"), 1.0, {}),))
    fits = [
        plan(
            asked, Known(settle(asked.scope, None, asked.past.chains, places, 0.0), 500, recall=masked, first_kept=kept)
        )
        for kept in (1, 2)
    ]
    assert [each.fitted.memories for each in fits] == [(), ("masked",)]
    assert fits[0].fitted.hits[0].dropped == "already in the prompt"
