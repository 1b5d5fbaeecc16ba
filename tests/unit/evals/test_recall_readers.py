"""Every shape that the recall evaluation reads: what is taken from it, and how what is wrong is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.evals.locomo import DatasetRefused
from gateway.evals.recall.readers import load
from gateway.evals.recall.sample import NOBODY, Question, Sample, begun, chosen, half, kept, origin
from gateway.memory.policies.verbatim import Verbatim
from gateway.memory.records import Memory, Scope, Turn

LOCOMO = {
    "sample_id": "talk-1",
    "conversation": {
        "session_1": [
            {"speaker": "Al", "dia_id": "D1:1", "text": "Look!", "blip_caption": "a red kite"},
            {"speaker": "Bo", "dia_id": "D1:2", "text": "The boat is sold."},
        ],
        "session_1_date_time": "1:56 pm on 8 May, 2024",
        "session_2": [{"speaker": "Al", "dia_id": "D2:1", "text": "Good."}],
        "session_2_date_time": "1:56 pm on 9 May, 2024",
    },
    "qa": [{"question": "What was sold?", "category": 1, "evidence": ["D1:2; D2:1", "D9:9"]}],
}
LONGMEMEVAL = {
    "question_id": "q-1",
    "question_type": "multi-session",
    "question": "What is my boat called?",
    "question_date": "2024/05/20 (Mon) 02:36",
    "haystack_session_ids": ["s-1", "s-2"],
    "haystack_dates": ["2024/05/01 (Wed) 10:00", "2024/05/02 (Thu) 10:00"],
    "haystack_sessions": [
        [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi."}],
        [
            {"role": "user", "content": "My boat is the Heron.", "has_answer": True},
            {"role": "assistant", "content": "A fine name."},
            {"role": "user", "content": "Thanks."},
        ],
    ],
    "answer_session_ids": ["s-2", "s-9"],
}
CHAT = [
    {
        "batch_number": 1,
        "turns": [
            [
                {"role": "user", "id": 0, "time_anchor": "March-15-2024", "content": "I keep two boats. ->-> 1,1"},
                {"role": "assistant", "id": 1, "content": "Which ones?"},
            ],
            [{"role": "user", "id": 2, "content": "A Heron and a Tern. ->-> 1,2"}],
        ],
    },
    {"batch_number": 2, "turns": [[{"role": "user", "id": 3, "content": "The Tern is sold."}]]},
]
PROBES = {
    "abstention": [{"question": "What is my cat called?"}],
    "knowledge_update": [
        {"question": "How many boats?", "source_chat_ids": {"original_info": [0, 1], "updated_info": [3, 99]}}
    ],
}


def written(tmp_path: Path, content: Any) -> Path:
    """A file with the content as JSON."""
    path = tmp_path / "talks.json"
    path.write_text(json.dumps(content))
    return path


def only(path: Path, questions: Path | None = None) -> Sample:
    """The only sample of a file."""
    (sample,) = load(path, questions).samples
    return sample


def gold(sample: Sample) -> list[list[str]]:
    """Each question's gold turns by the file's names."""
    return [[sample.labels[id] for id in question.gold] for question in sample.questions]


def texts(sample: Sample) -> list[tuple[str, str]]:
    """What was told, as (said, reply)."""
    return [(t.user_text, t.reply_text) if isinstance(t, Turn) else (t.text, t.reply) for t in sample.told]


def beam(tmp_path: Path, probes: Any = PROBES) -> Path:
    """A folder of one chat."""
    chat = tmp_path / "100K" / "1"
    (chat / "probing_questions").mkdir(parents=True)
    (chat / "chat.json").write_text(json.dumps(CHAT))
    (chat / "probing_questions" / "probing_questions.json").write_text(json.dumps(probes))
    (chat / "topic.json").write_text("not JSON, and not asked for")
    return tmp_path


def export(tmp_path: Path, *lines: str, questions: str = "") -> tuple[Path, Path]:
    """An export and its questions."""
    (tmp_path / "memories.jsonl").write_text("\n".join(lines))
    (tmp_path / "questions.jsonl").write_text(questions)
    return tmp_path / "memories.jsonl", tmp_path / "questions.jsonl"


def test_locomo_turns_say_speaker_and_caption(tmp_path: Path) -> None:
    """`speaker: text`, and the image's caption in brackets."""
    sample = only(written(tmp_path, [LOCOMO]))

    assert texts(sample)[:2] == [("Al: Look! [image: a red kite]", ""), ("Bo: The boat is sold.", "")]


def test_locomo_gold_is_split_and_checked(tmp_path: Path) -> None:
    """An entry may hold two ids; one that no turn has is counted and left out."""
    sample = only(written(tmp_path, [LOCOMO]))

    assert (gold(sample), sample.left_out, sample.questions[0].sessions) == (
        [["D1:2", "D2:1"]],
        1,
        ("session_1", "session_2"),
    )


def test_longmemeval_messages_become_turns(tmp_path: Path) -> None:
    """A user's message and the reply to it are one turn, as the gateway would keep it."""
    sample = only(written(tmp_path, [LONGMEMEVAL]))

    assert texts(sample) == [("Hello", "Hi."), ("My boat is the Heron.", "A fine name."), ("Thanks.", "")]


def test_longmemeval_gold(tmp_path: Path) -> None:
    """Turns with has_answer, sessions by answer_session_ids as far as they exist, the question at its date."""
    sample = only(written(tmp_path, [LONGMEMEVAL]))
    question = sample.questions[0]

    assert (gold(sample), question.sessions, question.category, question.at, sample.left_out) == (
        [["s-2:1"]],
        ("s-2",),
        "multi-session",
        1716172560.0,
        1,
    )


def test_longmemeval_abstention_has_no_gold(tmp_path: Path) -> None:
    """A question that nothing answers must not be held against recall."""
    question = only(written(tmp_path, [LONGMEMEVAL | {"question_id": "q-1_abs"}])).questions[0]

    assert (question.gold, question.sessions) == ((), ())


def test_beam_turns(tmp_path: Path) -> None:
    """User and assistant in one turn, without the generator's own note; a batch is a session, a date stays valid."""
    sample = only(beam(tmp_path))

    assert texts(sample) == [
        ("I keep two boats.", "Which ones?"),
        ("A Heron and a Tern.", ""),
        ("The Tern is sold.", ""),
    ]
    assert {t.at for t in sample.told} == {1710460800.0}


def test_beam_gold(tmp_path: Path) -> None:
    """Message ids in lists or in objects of lists; two messages of one turn are one gold turn."""
    sample = only(beam(tmp_path))

    assert (gold(sample), [q.category for q in sample.questions], sample.left_out) == (
        [[], ["0,1", "3"]],
        ["abstention", "knowledge_update"],
        1,
    )


def test_an_export_is_told_as_memories(tmp_path: Path) -> None:
    """With its kind and its place, not as new turns; a question's evidence is memory ids."""
    lines = (
        '{"id": "m2", "text": "Prefers tea.", "kind": "note", "at": 2, "scope": {"tenant": "t", "user": "u"}}',
        '{"id": "m1", "text": "My boat is the Heron.", "session": "s", "at": 1, "seq": 1}',
    )
    asked = '{"question": "Which boat?", "evidence": ["m1", "gone"]}\n'
    sample = only(*export(tmp_path, *lines, questions=asked))

    assert [(m.id, m.kind) for m in sample.told if isinstance(m, Memory)] == [("m1", "turn"), ("m2", "note")]
    assert (gold(sample), sample.questions[0].sessions, sample.left_out) == ([["m1"]], ("s",), 1)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ([LONGMEMEVAL | {"question_date": "soon"}], "q-1: question_date"),
        ([LONGMEMEVAL | {"haystack_dates": []}], "differ in length"),
        ([LONGMEMEVAL | {"question": 7}], "q-1: question must be a text"),
        ([LONGMEMEVAL | {"haystack_sessions": [[{"role": "user"}], []]}], "session 1, message 1: content"),
        ([LONGMEMEVAL, LONGMEMEVAL], "same question_id"),
        ([LOCOMO | {"conversation": 3}], "talk-1: conversation"),
        ({"something": "else"}, "no shape that is known"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: Any, named: str) -> None:
    """The message has the file, the place in it and the field."""
    with pytest.raises(DatasetRefused, match=named):
        load(written(tmp_path, content), None)


def test_a_wrong_line_is_named(tmp_path: Path) -> None:
    """In JSON Lines by its number."""
    memories, questions = export(tmp_path, '{"id": "m1", "text": "Hm."}', '{"id": "m2"}')

    with pytest.raises(DatasetRefused, match=r"the export, line 2: .*text"):
        load(memories, questions)


def test_beam_without_questions_is_refused(tmp_path: Path) -> None:
    """A chat alone measures nothing."""
    (tmp_path / "chat.json").write_text(json.dumps(CHAT))

    with pytest.raises(DatasetRefused, match=r"no chat\.json has"):
        load(tmp_path, None)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """As the system calls it."""
    with pytest.raises(DatasetRefused, match=r"none\.json cannot be read"):
        load(tmp_path / "none.json", None)


def test_pieces_of_a_long_turn_are_of_that_turn(tmp_path: Path) -> None:
    """The policy cuts it; all its memories count as the turn that the question cites."""
    long = {"speaker": "Al", "dia_id": "D1:1", "text": "A word or two. " * 200}
    sample = only(written(tmp_path, [LOCOMO | {"conversation": of_one(long)}]))
    memories = kept(sample, Verbatim(), Scope("t", "u"))

    assert len(memories) > len(sample.told)
    assert {sample.labels[origin(m, sample.labels)] for m in memories if m.seq == 1} == {"D1:1"}


def of_one(turn: dict[str, str]) -> dict[str, Any]:
    """A conversation of that one turn."""
    return {"session_1": [turn], "session_1_date_time": "1:56 pm on 8 May, 2024"}


def talk() -> Sample:
    """Three turns in two sessions, and a question for each way in which evidence may lie."""
    told = tuple(Turn(id, NOBODY, session, id, 0.0, "text", "") for id, session in (("a", "1"), ("b", "1"), ("c", "2")))
    questions = (
        Question("first", "x", ("a",), ("1",)),
        Question("both", "x", ("a", "c"), ("1", "2")),
        Question("last session", "x", (), ("2",)),
        Question("nowhere", "x", (), ()),
    )
    return Sample("talk", told, questions, {said.id: said.chain for said in told}, left_out=2)


def test_of_a_beginning_only_its_own_questions_are_asked() -> None:
    """All of a question's turns, and all of its sessions, must have been told; the other questions are counted."""
    begin = begun(talk(), 2)

    assert [said.id for said in begin.told] == ["a", "b"]
    assert [question.text for question in begin.questions] == ["first", "nowhere"]
    assert (begin.unasked, begin.left_out) == (2, 2)


@pytest.mark.parametrize("turns", [0, 3, 9])
def test_a_beginning_may_be_everything(turns: int) -> None:
    """With no limit, or with one that the conversation does not reach."""
    assert begun(talk(), turns) == talk()


def test_the_halves_share_nothing() -> None:
    """And together they are everything, whatever order the file has."""
    samples = [Sample(f"talk-{i}", (), (), {}) for i in range(40)]
    dev, held_out = (chosen(samples, split, ()) for split in ("dev", "held-out"))

    assert sorted([*dev, *held_out], key=lambda s: s.name) == sorted(samples, key=lambda s: s.name)
    assert min(len(dev), len(held_out)) >= 10


def test_a_conversations_half_depends_on_its_name_alone() -> None:
    """A conversation never moves between the halves when others come or go."""
    assert [half(f"conv-{i}") for i in range(1, 6)] == ["dev", "dev", "held-out", "dev", "dev"]
