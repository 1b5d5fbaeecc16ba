"""What becomes of decisions: which are carried out, which are refused, and that doing it twice is doing it once."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.memory.records import Memory, Scope, Turn
from gateway.memory.reflections import (
    Archive,
    Draft,
    Forget,
    Gist,
    Insert,
    Merge,
    Operation,
    Reinforce,
    Restore,
    Supersede,
    Weaken,
)
from gateway.memory.revise import LONGEST, Basis, Images, images, thought_id
from gateway.memory.thoughts import Span, Thought, Use

ADA = Scope("acme", "ada")
NOW = 1_000.0


def turn(id: str, at: float = 10.0) -> Turn:
    """A turn of Ada's."""
    return Turn(id, ADA, "s", "c", at, f"said in {id}", "I see.", seq=1)


def raw(id: str) -> Memory:
    """A turn as it was indexed."""
    return Memory(id, ADA, "s", f"said in {id}", "I see.", at=10.0, seq=1, sources=(id,))


def thought(id: str, text: str, *sources: str, policy: str = "p", status: str = "active") -> Memory:
    """Something that a policy made of turns."""
    return Memory(id, ADA, "s", text, kind="fact", at=10.0, sources=sources, status=status, thought=Thought(policy))  # type: ignore[arg-type]


def fact(text: str, *sources: str, key: str = "", **more: object) -> Draft:
    """A draft of a fact."""
    return Draft("fact", text, sources or ("t1",), key=key, **more)  # type: ignore[arg-type]


def basis(*known: Memory, **more: object) -> Basis:
    """What is there, and what was thought about."""
    turns = {t.id: t for t in (turn("t1"), turn("t2", 20.0))}
    return Basis(ADA, "p", "r", turns, {m.id: m for m in known}, NOW, **more)  # type: ignore[arg-type]


def one(operation: Operation, *known: Memory, **more: object) -> Images:
    """A single decision carried out."""
    return images([operation], basis(*known, **more))


def test_an_insert_makes_a_memory_with_its_evidence() -> None:
    """Its time and session are its turns', its maker and its reflection are told, it stands in no line."""
    made = one(Insert(fact("Ada keeps bees.", "t2", tags=("Ada",)))).after[0]

    assert (made.text, made.sources, made.at, made.session, made.seq) == ("Ada keeps bees.", ("t2",), 20.0, "s", 0)
    assert made.thought == Thought("p", "r", tags=("Ada",)) and made.trust == "user"


def test_what_rests_on_a_reply_is_not_the_users_word() -> None:
    """A span in what the assistant said is told as the assistant's."""
    draft = fact("Bees sleep.", "t1", spans=(Span("t1", "reply", 0, 5), Span("elsewhere", "user", 0, 1)))
    made = one(Insert(draft)).after[0]

    assert made.trust == "assistant"
    assert made.thought and made.thought.spans == (Span("t1", "reply", 0, 5),)


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        (Insert(Draft("fact", "No evidence.", ())), "no evidence"),
        (Insert(fact("Somebody else's turn.", "theirs")), "no evidence"),
        (Insert(fact(" \n")), "says nothing"),
        (Insert(fact("x" * (LONGEST + 1))), "longer"),
        (Merge((), fact("Of nothing.")), "names no memory"),
        (Merge(("f", "unknown"), fact("Of both.")), "unknown memory"),
        (Supersede("t1", fact("Not so.")), "not made by this policy"),
        (Supersede("other", fact("Not so.")), "not made by this policy"),
        (Forget("t1"), "not made by this policy"),
        (Forget("note"), "operator's note"),
        (Archive("note"), "operator's note"),
        (Archive("unknown"), "unknown memory"),
        (Gist("t1", ""), "says nothing"),
        (Reinforce("t1", 0.0), "by nothing"),
        (Reinforce("t1", float("nan")), "by nothing"),
        (Weaken("t1", 0.5), "not made by this policy"),
    ],
)
def test_what_may_not_be_is_refused_and_told(operation: Operation, reason: str) -> None:
    """Nothing changes, and the reflection says which decision and why."""
    note = Memory("note", ADA, "", "An order.", kind="note", trust="operator")
    made = one(operation, raw("t1"), thought("f", "Ada keeps bees.", "t1"), thought("other", "X", policy="q"), note)

    assert made.before == made.after == ()
    assert len(made.refused) == 1 and reason in made.refused[0]


def test_a_known_text_grows_stronger_instead() -> None:
    """Told by another turn the fact rests on both; told by the same turn again it stays as it was."""
    once = one(Insert(fact("Ada keeps bees.", "t1"))).after[0]
    again = one(Insert(fact("ADA keeps bees!", "t2")), once).after[0]

    assert (again.id, again.sources, again.use) == (once.id, ("t1", "t2"), Use(2.0))
    assert one(Insert(fact("Ada keeps bees.", "t1")), once) == Images((), (), ())


def test_a_twin_in_other_words_grows_stronger_too() -> None:
    """What says the same is found by the one who asks, and is not kept twice."""
    twin = thought("f", "Bees are kept by Ada.", "t1")
    made = one(Insert(fact("Ada keeps bees.", "t2")), twin, twins={"Ada keeps bees.": twin})

    assert [(m.id, m.text, m.sources) for m in made.after] == [("f", "Bees are kept by Ada.", ("t1", "t2"))]


def test_a_key_is_one_memory_in_versions() -> None:
    """The former text is kept, and the evidence of both."""
    first = one(Insert(fact("Likes tea.", "t1", key="portrait"))).after[0]
    second = one(Insert(fact("Likes coffee.", "t2", key="portrait")), first).after[0]

    assert (second.id, second.version, second.sources) == (first.id, 2, ("t1", "t2"))
    assert [(f.version, f.text) for f in second.former] == [(1, "Likes tea.")]


def test_superseding_ends_the_old_and_begins_the_new() -> None:
    """The chain can be walked, and the old one holds until the new one's evidence."""
    made = one(Supersede("f", fact("Ada lives in Riga.", "t2")), thought("f", "Ada lives in Bern.", "t1"))
    old, new = sorted(made.after, key=lambda m: m.status, reverse=True)

    assert (old.status, old.thought and old.thought.until) == ("superseded", 20.0)
    assert (new.status, new.thought and new.thought.supersedes) == ("active", "f")
    assert new.sources == ("t1", "t2")


def test_merging_leaves_one() -> None:
    """All others are superseded; it rests on the evidence of all."""
    known = [thought("a", "Ada has bees.", "t1"), thought("b", "Ada has hives.", "t2")]
    made = images([Merge(("a", "b"), fact("Ada has bees in hives.", "t2"))], basis(*known))

    assert sorted((m.status, m.sources) for m in made.after) == [
        ("active", ("t1", "t2")),
        ("superseded", ("t1",)),
        ("superseded", ("t2",)),
    ]


def test_what_changed_meanwhile_is_left_alone() -> None:
    """A decision about a version that is no more is refused."""
    known = replace(thought("f", "Edited by hand.", "t1"), version=3)

    assert one(Forget("f"), known, seen={"f": 2}).refused == ("forget: changed meanwhile",)
    assert one(Forget("f"), known, seen={"f": 3}).before == (known,)


def test_strength_and_confidence_move_within_their_bounds() -> None:
    """Strength grows from 1, confidence stays in [0, 1]; when it was last recalled is the turn's time."""
    known = replace(thought("f", "Ada may keep bees.", "t1"), thought=Thought("p", confidence=0.5))
    strong = one(Reinforce("f"), known).after[0]
    sure = one(Reinforce("f", 5.0, "confidence"), known).after[0]
    unsure = one(Weaken("f", 5.0), known).after[0]

    assert strong.use == Use(2.0, 1, 20.0)
    assert (sure.thought and sure.thought.confidence, unsure.thought and unsure.thought.confidence) == (1.0, 0.0)


def test_archiving_keeps_and_restoring_brings_back() -> None:
    """Also of what was said: nothing of it is lost."""
    gone = one(Archive("t1"), raw("t1")).after[0]

    assert (gone.status, gone.text) == ("archived", "said in t1")
    assert one(Restore("t1"), gone).after[0].status == "active"


IDS = ("t1", "t2", "f", "g", "note", "nobody")
drafts = st.builds(
    Draft,
    st.sampled_from(["fact", "event", "summary"]),
    st.sampled_from(["Ada keeps bees.", "ada KEEPS bees", "Bob sails.", "", "x" * 5000]),
    st.lists(st.sampled_from(["t1", "t2", "theirs"]), max_size=2).map(tuple),
    key=st.sampled_from(["", "k"]),
    confidence=st.floats(-1, 2),
)
ids = st.sampled_from(IDS)
operations = st.lists(
    st.one_of(
        st.builds(Insert, drafts),
        st.builds(Merge, st.lists(ids, max_size=3).map(tuple), drafts),
        st.builds(Supersede, ids, drafts),
        st.builds(Gist, ids, st.sampled_from(["short", ""])),
        st.builds(Reinforce, ids, st.floats(-1, 3), st.sampled_from(["strength", "confidence"])),
        st.builds(Weaken, ids, st.floats(-1, 3)),
        st.builds(Archive, ids),
        st.builds(Restore, ids),
        st.builds(Forget, ids),
    ),
    max_size=6,
)
KNOWN = (
    raw("t1"),
    raw("t2"),
    thought("f", "Ada keeps bees.", "t1"),
    thought("g", "Bob sails.", "t2", status="superseded"),
    Memory("note", ADA, "", "An order.", kind="note", trust="operator"),
)


@given(operations)
def test_whatever_is_decided_evidence_stays(decided: list[Operation]) -> None:
    """What was said keeps its text and is never removed, notes are untouched, all that is made rests on turns, versions
    grow by one, and confidence stays in its bounds."""
    made = images(decided, basis(*KNOWN))
    after, known = {m.id: m for m in made.after}, {m.id: m for m in KNOWN}

    assert "note" not in {m.id for m in (*made.before, *made.after)}
    assert all(after[m.id].text == m.text for m in made.before if m.kind == "turn")
    assert all(set(m.sources) & {"t1", "t2"} and m.scope == ADA for m in made.after)
    assert all(m.version == (known[m.id].version + 1 if m.id in known else 1) for m in made.after)
    assert all(0.0 <= m.thought.confidence <= 1.0 for m in made.after if m.thought)


@given(operations)
def test_the_same_decisions_give_the_same_images(decided: list[Operation]) -> None:
    """Nothing in it is drawn by lot."""
    assert images(decided, basis(*KNOWN)) == images(decided, basis(*KNOWN))


@given(st.lists(st.builds(Insert, drafts), max_size=5))
def test_inserting_twice_is_inserting_once(decided: list[Operation]) -> None:
    """Told by the same turns again, nothing is new but the versions of what has a key."""
    first = images(decided, basis(*KNOWN))
    there = {m.id: m for m in (*KNOWN, *first.after)}
    second = images(decided, basis(*there.values()))

    assert {m.id for m in second.after} <= set(there)
    assert all(m.sources == there[m.id].sources for m in second.after)


def test_ids_keep_users_policies_and_kinds_apart() -> None:
    """The same thought of another user, policy or kind is another memory."""
    draft = fact("Ada keeps bees.")
    ids = {
        thought_id(ADA, "p", draft),
        thought_id(Scope("acme", "bob"), "p", draft),
        thought_id(Scope("acmea", "da"), "p", draft),
        thought_id(ADA, "q", draft),
        thought_id(ADA, "p", replace(draft, kind="event")),
    }

    assert len(ids) == 5 and thought_id(ADA, "p", fact("ada keeps BEES!")) in ids
