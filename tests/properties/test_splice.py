"""Splicing: what the edits do not name keeps its bytes, whatever the spelling; what they name changes as they say."""

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.errors import NotSpliceable
from gateway.wire import chat, spans
from gateway.wire.chat import Edits
from tests.properties.bodies import NAMES, SPACE, TEXT, VALUES, chat_bodies, listed, objects, parsed, spelled

INDEXES = st.lists(st.integers(0, 4), max_size=4)


@given(chat_bodies())
def test_without_edits_nothing_changes(raw: bytes) -> None:
    """No edits, the same bytes."""
    assert chat.splice(chat.read(raw), Edits()) == raw


@given(chat_bodies())
def test_reading_finds_each_message_where_it_stands(raw: bytes) -> None:
    """A message's span holds exactly that message."""
    request = chat.read(raw)

    assert [parsed(raw[m.start : m.end]) for m in request.messages] == parsed(raw)["messages"]


@given(chat_bodies(), st.sets(NAMES, max_size=3))
def test_without_takes_out_members_and_nothing_else(raw: bytes, names: set[str]) -> None:
    """The members named leave; the order and the bytes of all others stay."""
    gone = (names | {"memory"}) - {"messages"}
    edited = chat.splice(chat.read(raw), Edits(without=tuple(gone)))

    assert list(parsed(edited).items()) == [(n, v) for n, v in parsed(raw).items() if n not in gone]
    assert values_of(edited) == {n: v for n, v in values_of(raw).items() if n not in gone}


@given(chat_bodies(), st.dictionaries(TEXT.map(lambda name: f"new {name}"), TEXT, min_size=1, max_size=2))
def test_add_appends_members_and_changes_nothing_else(raw: bytes, add: dict[str, str]) -> None:
    """New members come last, also where everything before them leaves."""
    edited = chat.splice(chat.read(raw), Edits(without=("memory",), add=add))

    assert parsed(edited) == {n: v for n, v in parsed(raw).items() if n != "memory"} | add
    assert list(parsed(edited))[-len(add) :] == list(add)


@given(chat_bodies(), st.dictionaries(st.integers(0, 4), TEXT, min_size=1, max_size=4))
def test_insert_changes_only_the_content_of_the_user_messages_named(raw: bytes, inserts: dict[int, str]) -> None:
    """Text comes before a string content or as a first part; cutting it out again gives the body back."""
    request = chat.read(raw)
    inserts = {index: text for index, text in inserts.items() if index < len(request.messages)}
    edited = chat.splice(request, Edits(insert=inserts))

    expected = parsed(raw)
    for index, text in inserts.items():
        if expected["messages"][index]["role"] == "user":
            headed(expected["messages"][index], text)
    assert parsed(edited) == expected
    assert is_subsequence(raw, edited)


@given(chat_bodies(), INDEXES)
def test_drop_takes_out_messages_and_nothing_else(raw: bytes, drop: list[int]) -> None:
    """The messages named leave; the others keep their bytes."""
    request = chat.read(raw)
    kept = [i for i in range(len(request.messages)) if i not in drop]
    assume(kept)
    edited = chat.splice(request, Edits(drop=drop))
    after = chat.read(edited)

    assert [edited[m.start : m.end] for m in after.messages] == [
        raw[request.messages[i].start : request.messages[i].end] for i in kept
    ]
    assert {n: v for n, v in parsed(edited).items() if n != "messages"} == {
        n: v for n, v in parsed(raw).items() if n != "messages"
    }


@given(chat_bodies(), INDEXES, st.dictionaries(st.integers(0, 4), TEXT, max_size=4))
def test_edits_made_together_are_the_edits_made_one_by_one(
    raw: bytes, drop: list[int], inserts: dict[int, str]
) -> None:
    """All edits at once give what each after the other gives."""
    request = chat.read(raw)
    inserts = {index: text for index, text in inserts.items() if index < len(request.messages)}
    assume(set(range(len(request.messages))) - set(drop))
    together = Edits(insert=inserts, drop=drop, without=("memory", "user"), add={"cache salt": "x"})
    step = chat.read(chat.splice(request, Edits(insert=inserts)))
    step = chat.read(chat.splice(step, Edits(drop=drop)))
    step = chat.read(chat.splice(step, Edits(without=("memory", "user"))))

    assert chat.splice(request, together) == chat.splice(step, Edits(add={"cache salt": "x"}))


@given(st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=5), st.data())
def test_two_members_of_one_name_are_refused_wherever_they_stand(
    members: list[tuple[str, bytes]], data: st.DataObject
) -> None:
    """However the two spell their name and whatever their values, no span is guessed."""
    name, _ = data.draw(st.sampled_from(members))
    doubled = data.draw(st.permutations([*members, (name, data.draw(VALUES))]))
    raw = data.draw(objects(doubled))

    with pytest.raises(NotSpliceable):
        spans.members(raw, 0, len(raw))


@given(st.dictionaries(NAMES, VALUES, max_size=5), SPACE, st.data())
def test_members_are_found_where_they_stand(members: dict[str, bytes], space: bytes, data: st.DataObject) -> None:
    """Every span holds the value's own bytes, key and all."""
    raw = space + data.draw(objects(list(members.items()))) + space
    found = spans.members(raw, len(space), len(raw) - len(space))

    assert {name: raw[m.start : m.end] for name, m in found.items()} == members
    assert all(raw[m.at : m.at + 1] == b'"' for m in found.values())


@given(st.lists(VALUES, max_size=5), st.data())
def test_elements_are_found_where_they_stand(items: list[bytes], data: st.DataObject) -> None:
    """Every span holds the element's own bytes."""
    raw = data.draw(listed(items))

    assert [raw[start:end] for start, end in spans.elements(raw, 0, len(raw))] == items


@given(TEXT, st.data())
def test_spelling_leaves_no_mark_on_the_canonical_form(text: str, data: st.DataObject) -> None:
    """A text is the same to the hash, however escaped, and as a string or as a single part."""
    once, again = data.draw(spelled(text)), data.draw(spelled(text))
    plain = b'{"messages":[{"role":"user","content":%s}]}' % once
    parts = b'{"messages":[{"content":[{"type":"text","text":%s}],"role":"user"}]}' % again

    assert chat.read(plain).messages[0].normal == chat.read(parts).messages[0].normal


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda t: t.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    """Whatever arrives, reading ends in a request or in NotSpliceable."""
    try:
        assert chat.read(raw).messages
    except NotSpliceable as refused:
        assert refused.message


@given(chat_bodies(), st.integers(0, 400), st.binary(max_size=4))
def test_a_damaged_body_is_read_or_refused(raw: bytes, at: int, damage: bytes) -> None:
    """A body with a hole or a foreign piece in it is never rewritten wrongly: no edits still give the same bytes."""
    broken = raw[:at] + damage + raw[at + 1 :]
    try:
        request = chat.read(broken)
    except NotSpliceable:
        return

    assert chat.splice(request, Edits()) == broken


def values_of(raw: bytes) -> dict[str, bytes]:
    """Every top-level member's own bytes."""
    text = raw.strip(b" \t\r\n")
    return {name: text[m.start : m.end] for name, m in spans.members(text, 0, len(text)).items()}


def headed(message: dict[str, Any], text: str) -> None:
    """Put the text where an insertion would."""
    content = message.get("content")
    if not text:
        return
    if isinstance(content, str):
        message["content"] = f"{text}\n\n{content}" if content else text
    elif isinstance(content, list):
        content.insert(0, {"type": "text", "text": text})


def is_subsequence(short: bytes, long: bytes) -> bool:
    """Whether `short` is left when something is cut out of `long`."""
    rest = iter(long)
    return all(byte in rest for byte in short)
