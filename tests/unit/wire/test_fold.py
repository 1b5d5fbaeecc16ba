"""Folding: the message that an answer spells, and whether it failed or was cut."""

from typing import Any

import orjson
import pytest

from gateway.wire.fold import Call, Choice, fold_json, fold_stream


def stream(*chunks: Any, done: bool = True) -> bytes:
    """A stream of these chunks."""
    payloads = [orjson.dumps(chunk) for chunk in chunks] + ([b"[DONE]"] if done else [])
    return b"".join(b"data: " + payload + b"\n\n" for payload in payloads)


def delta(index: int | None = 0, finish: str | None = None, **said: Any) -> dict[str, Any]:
    """A chunk with one choice."""
    choice = {"delta": said, "finish_reason": finish} | ({} if index is None else {"index": index})
    return {"id": "chatcmpl-1", "model": "m", "choices": [choice]}


def piece(arguments: str = "", **more: Any) -> dict[str, Any]:
    """A piece of a tool call; `name` goes into its function."""
    function = {"arguments": arguments} | ({"name": more.pop("name")} if "name" in more else {})
    return {"function": function, **more}


def calls(*pieces: dict[str, Any]) -> tuple[Call, ...]:
    """The calls that these pieces, each in a chunk of its own, spell."""
    return fold_stream(stream(*(delta(tool_calls=[p]) for p in pieces))).choices[0].calls


def test_a_stream_spells_its_message() -> None:
    """Content, reasoning, refusal, finish, id, model and usage of a whole stream."""
    folded = fold_stream(
        stream(
            delta(role="assistant", content=""),
            delta(reasoning="hm"),
            delta(content="Hel"),
            delta(content="lo", refusal="no"),
            delta(finish="stop"),
            {"id": "chatcmpl-1", "model": "m", "choices": [], "usage": {"total_tokens": 3}},
        )
    )

    assert folded.choices == (Choice(0, "Hello", "hm", "no", (), "stop"),)
    assert (folded.id, folded.model, folded.usage) == ("chatcmpl-1", "m", {"total_tokens": 3})
    assert (folded.error, folded.done) == (False, True)


def test_every_choice_is_spelled_apart() -> None:
    """n > 1: pieces come in any order and the choices come out in order."""
    folded = fold_stream(stream(delta(1, content="b"), delta(0, content="a"), delta(1, content="b"), delta(0)))

    assert [(c.index, c.content) for c in folded.choices] == [(0, "a"), (1, "bb")]


def test_a_choice_without_index_goes_by_its_place() -> None:
    """Some servers leave the index out."""
    both = {"choices": [{"delta": {"content": "a"}}, {"delta": {"content": "b"}}]}

    assert [c.content for c in fold_stream(stream(both, both)).choices] == ["aa", "bb"]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"reasoning": "a"}, "a"),
        ({"reasoning_content": "a"}, "a"),
        ({"reasoning": "a", "reasoning_content": "a"}, "a"),
        ({"reasoning": None, "reasoning_content": "a"}, "a"),
    ],
)
def test_reasoning_is_found_under_both_names(said: dict[str, Any], expected: str) -> None:
    """vLLM renamed the field; sent under both names it counts once."""
    assert fold_stream(stream(delta(**said))).choices[0].reasoning == expected


def test_a_call_is_put_together_by_its_index() -> None:
    """The id and name come once, the arguments in pieces, two calls interleaved."""
    found = calls(
        piece(index=0, id="a", name="f"),
        piece(index=1, id="b", name="g"),
        piece("{", index=0),
        piece("[", index=1),
        piece("}", index=0),
        piece("]", index=1),
    )

    assert found == (Call("a", "f", "{}"), Call("b", "g", "[]"))


def test_an_index_used_again_for_another_call_begins_another_call() -> None:
    """A new id is a new call, whatever its index; pieces without an id follow the latest."""
    found = calls(
        piece(index=0, id="a", name="f"),
        piece("1", index=0),
        piece(index=0, id="b", name="g"),
        piece("2", index=0),
    )

    assert found == (Call("a", "f", "1"), Call("b", "g", "2"))


def test_pieces_without_index_belong_to_the_latest_call() -> None:
    """Or to the call whose id they name."""
    found = calls(piece(id="a", name="f"), piece("1"), piece(id="b", name="g"), piece("2"), piece("3", id="a"))

    assert found == (Call("a", "f", "13"), Call("b", "g", "2"))


def test_a_name_without_id_and_index_begins_a_call() -> None:
    """Servers that number nothing still name each call once."""
    assert calls(piece("1", name="f"), piece("2", name="g")) == (Call("", "f", "1"), Call("", "g", "2"))


def test_an_id_in_every_piece_is_one_call() -> None:
    """The id repeated is the same call."""
    assert calls(*(piece(c, index=0, id="a", name="f") for c in "{}")) == (Call("a", "f", "{}"),)


def test_a_usage_chunk_has_no_choices() -> None:
    """It is no error, adds no choice, and a zero in it is kept."""
    folded = fold_stream(stream(delta(content="a"), {"choices": [], "usage": {"cached_tokens": 0}}))

    assert (len(folded.choices), folded.usage, folded.error) == (1, {"cached_tokens": 0}, False)


@pytest.mark.parametrize(
    "event",
    [
        {"error": {"message": "no", "type": "server_error", "param": None, "code": None}},
        {"error": {"message": "no", "code": 400}},
        {"error": "no"},
        [],
        3,
        None,
    ],
)
def test_an_error_inside_a_stream_is_an_error(event: Any) -> None:
    """OpenAI's words, vLLM's integer code, or something that is no chunk at all; what was said before is kept."""
    folded = fold_stream(stream(delta(content="a"), event))

    assert (folded.error, folded.choices[0].content) == (True, "a")


def test_an_error_event_with_a_null_error_is_no_error() -> None:
    """Some servers send the member in every chunk."""
    assert not fold_stream(stream({**delta(content="a"), "error": None})).error


def test_a_stream_without_its_end_is_not_done() -> None:
    """Only the mark says that all was said."""
    assert not fold_stream(stream(delta(content="a", finish="stop"), done=False)).done


def test_a_stream_cut_at_any_byte_is_no_error_and_spells_a_beginning() -> None:
    """A client that leaves cuts anywhere; the partial turn holds what had arrived whole."""
    whole = stream(delta(content="Grüße, "), delta(content="世界"), delta(content="!", finish="stop"))
    for cut in range(len(whole)):
        folded = fold_stream(whole[:cut])
        said = folded.choices[0].content if folded.choices else ""

        assert not folded.error
        assert "Grüße, 世界!".startswith(said)


def test_a_broken_event_before_the_end_is_an_error() -> None:
    """Only the last event may be cut."""
    assert fold_stream(b'data: {"choi\n\n' + stream(delta(content="a"))).error


def test_a_comment_in_between_changes_nothing() -> None:
    """Keep-alives are no events."""
    raw = stream(delta(content="a"), delta(content="b"))

    assert fold_stream(raw.replace(b"data:", b": ping\n\ndata:")) == fold_stream(raw)


def test_a_body_spells_its_message() -> None:
    """An answer that was not streamed, with calls that have no index."""
    call = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [{**call, "id": "a"}, {**call, "id": "b"}]}
    folded = fold_json(
        orjson.dumps({"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": "tool"}]})
    )

    assert folded.choices == (Choice(0, "", "", "", (Call("a", "f", "{}"), Call("b", "f", "{}")), "tool"),)
    assert (folded.error, folded.done) == (False, True)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b'{"error":{"code":500}}', b"\xff", b"<html>"])
def test_a_body_that_is_no_answer_is_an_error(raw: bytes) -> None:
    """Nothing is learned from it."""
    folded = fold_json(raw)

    assert (folded.error, folded.done, folded.choices) == (True, False, ())


@pytest.mark.parametrize(
    "chunk",
    [
        {"choices": None},
        {"choices": {"0": 1}},
        {"choices": [None, 3, "x"]},
        {"choices": [{"index": "0", "delta": "x"}]},
        {"choices": [{"index": -1, "delta": {"content": ["x"], "tool_calls": "x"}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [None, {}, {"function": "x", "id": 3, "index": "a"}]}}]},
        {"id": 3, "model": [], "usage": "x", "choices": [{}]},
    ],
)
def test_wrong_types_inside_a_chunk_spell_nothing(chunk: dict[str, Any]) -> None:
    """They are not ours to judge, and nothing breaks over them."""
    folded = fold_stream(stream(chunk))

    assert all(choice.content == "" for choice in folded.choices)
    assert not folded.error
