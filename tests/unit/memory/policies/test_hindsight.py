"""Hindsight: facts with links, opinions that are moved, an observation of each entity, and fused ranks."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.memory.policies.hindsight import Hindsight
from gateway.memory.policies.hindsight.entities import Entity, resolved, tidy
from gateway.memory.policies.hindsight.links import Knot, activated, fused, strongest, woven
from gateway.memory.records import Candidate, Memory, Scope
from gateway.memory.thoughts import Link, Thought
from tests.support.mind import ADA, DAY, Mind, mind

RETAIN, OBSERVE = "Write down what is worth remembering", "Describe each of these"
NOON = 1_777_593_600.0


@pytest.fixture
async def ada(tmp_path: Path) -> AsyncIterator[Mind]:
    """A mind with this policy, whose model describes nobody."""
    async with mind(tmp_path, Hindsight()) as made:
        made.model.rules[OBSERVE] = {"descriptions": []}
        yield made


def fact(what: str, *entities: str, network: str = "world", turn: int = 1, **more: Any) -> dict[str, Any]:
    """As a model tells it."""
    empty = dict.fromkeys(("when", "where", "who", "why", "begins", "ends"), "")
    told = {"turn": turn, "network": network, "what": what, "entities": entities, "confidence": 1.0}
    return {**empty, **told, **more}


async def think(ada: Mind, *facts: dict[str, Any], text: str = "So it is.", **more: Any) -> None:
    """Something is said, and this is what the model makes of it."""
    ada.model.rules[RETAIN] = {"facts": [*facts], "causes": [], "bearings": [], **more}
    await ada.say(text)
    assert [(r.state, r.refused) for r in await ada.think()] == [("applied", ())]


async def links(ada: Mind, text: str) -> dict[str, Link]:
    """Those of one memory, by the text that they lead to."""
    made = await ada.made()
    texts = {memory.id: memory.text for memory in made}
    (thought,) = [memory.thought for memory in made if memory.text == text]
    return {texts[link.to]: link for link in thought.links if link.to in texts} if thought else {}


async def test_four_networks(ada: Mind) -> None:
    """World, experience and opinion are told apart, with when and about whom; what the assistant did or judged is
    trusted as the assistant's."""
    ada.model.rules[OBSERVE] = {"descriptions": [{"about": 1, "text": "Alice works at Acme and likes to hike."}]}
    await think(
        ada,
        fact("Alice joined Acme.", "Alice", "Acme", begins="2026-03-02", where="Riga", why="the pay"),
        fact("Alice hikes at weekends.", "Alice"),
        fact("I helped Alice with her CV.", "Alice", network="experience"),
        fact("Alice is a careful planner.", "Alice", network="opinion", confidence=0.7),
    )
    made = {memory.text: memory for memory in await ada.made()}
    joined = made["Alice joined Acme. Where: Riga. Why: the pay."]
    judged, did = made["Alice is a careful planner."], made["I helped Alice with her CV."]

    assert joined.thought and joined.thought.occurred == (1_772_409_600.0, 1_772_409_600.0 + DAY)
    assert joined.thought.tags == ("Alice", "Acme")
    assert (joined.kind, did.kind, judged.kind) == ("fact", "experience", "opinion")
    assert (joined.trust, did.trust, judged.trust) == ("user", "assistant", "assistant")
    assert judged.thought and judged.thought.confidence == 0.7
    assert [m.text for m in await ada.made("observation")] == ["Alice works at Acme and likes to hike."]


async def test_links_of_a_batch_and_to_what_is_known(ada: Mind) -> None:
    """Cause and effect lead both ways; the same entity and the same day lead back to what was known before."""
    await think(ada, fact("Ada bought a hive.", "Ada", begins="2026-05-01"))
    await think(
        ada,
        fact("Snow broke the roof of Ada's barn.", "Ada", begins="2026-05-01"),
        fact("The bees died.", begins="2020-01-01"),
        causes=[{"cause": 1, "effect": 2}, {"cause": 1, "effect": 1}, {"cause": 9, "effect": 2}],
    )
    snow, died = await links(ada, "Snow broke the roof of Ada's barn."), await links(ada, "The bees died.")

    assert snow["The bees died."].kind == died["Snow broke the roof of Ada's barn."].kind == "causal"
    assert snow["Ada bought a hive."] == Link(snow["Ada bought a hive."].to, "entity", 1.0)
    assert "Ada bought a hive." not in died


async def test_an_entity_is_observed_anew_when_its_facts_change(ada: Mind) -> None:
    """From the second fact on, one memory in its next version; it rests on the turns of all of the facts."""
    await think(ada, fact("Ada keeps bees.", "Ada"))
    assert await ada.made("observation") == []
    ada.model.rules[OBSERVE] = {"descriptions": [{"about": 1, "text": "Ada keeps bees in Riga."}]}
    await think(ada, fact("Ada lives in Riga.", "Ada"))
    ada.model.rules[OBSERVE] = {"descriptions": [{"about": 1, "text": "Ada keeps bees; she left Riga."}]}
    await think(ada, fact("Ada left Riga.", "ADA"))

    (made,) = await ada.made("observation")
    assert (made.text, made.version, [f.text for f in made.former]) == (
        "Ada keeps bees; she left Riga.",
        2,
        ["Ada keeps bees in Riga."],
    )
    assert len(made.sources) == 3
    assert "Ada keeps bees." in ada.model.asked[-1] and "in Riga and" not in ada.model.asked[-1]


async def test_deleting_a_turn_reaches_the_observation_made_of_its_fact(ada: Mind) -> None:
    """Though the turn was thought about long before the observation was made."""
    await think(ada, fact("Ada keeps bees.", "Ada"))
    ada.model.rules[OBSERVE] = {"descriptions": [{"about": 1, "text": "Ada keeps bees in Riga."}]}
    await think(ada, fact("Ada lives in Riga.", "Ada"))
    (first,) = [memory for memory in await ada.made("fact") if memory.text == "Ada keeps bees."]
    await ada.curator.delete(ADA, [*first.sources])

    assert [memory.text for memory in await ada.made() if "bees" in memory.text] == []


@pytest.mark.parametrize(
    ("effects", "confidence"),
    [
        (["reinforce"], 0.6),
        (["weaken"], 0.4),
        (["contradict"], 0.3),
        (["reinforce"] * 9, 1.0),
        (["contradict"] * 9, 0.0),
    ],
)
async def test_opinions_are_moved(ada: Mind, effects: list[str], confidence: float) -> None:
    """By a step up or down, or by two down, and never out of bounds."""
    await think(ada, fact("Tea is best.", network="opinion", confidence=0.5))
    for effect in effects:
        bearings = [
            {"opinion": 1, "effect": effect},
            {"opinion": 1, "effect": "contradict"},
            {"opinion": 7, "effect": effect},
        ]
        await think(ada, bearings=bearings)

    (made,) = await ada.made("opinion")
    assert made.thought and made.thought.confidence == pytest.approx(confidence)


async def test_a_model_that_tells_too_much(ada: Mind) -> None:
    """Only so many facts a turn, of bounded length, about few names; none without text."""
    many = [fact(f"Hive number {n} " + "is full " * 5000, *map(str, range(500))) for n in range(300)]
    await think(ada, fact("  "), *many)
    made = await ada.made()

    assert len(made) == 5
    assert all(len(m.text) <= 2100 and m.thought and len(m.thought.tags) <= 8 for m in made)


async def test_without_a_model_nothing_is_made(ada: Mind) -> None:
    """The turns are recalled as they were said."""
    await ada.say("Ada keeps bees in Riga.")
    (failed,) = await ada.think()

    assert failed.state == "failed" and await ada.made() == []
    assert "Riga" in (await ada.told("Where does Ada keep bees?")).text


@pytest.mark.parametrize(("alike", "linked"), [(0.7, ["Boats sail far from here."]), (1.01, [])])
async def test_likeness_links_from_a_threshold_on(tmp_path: Path, alike: float, linked: list[str]) -> None:
    """Whatever it is about, and however long ago; with the cosine as its weight."""
    async with mind(tmp_path, Hindsight(alike=alike)) as ada:
        await think(ada, fact("Boats sail far from here.", begins="2001-01-01"))
        await think(ada, fact("Boats sail far from there.", begins="2020-01-01"))
        found = await links(ada, "Boats sail far from there.")

        assert [*found] == linked and all(0.7 <= link.weight < 1 for link in found.values())


@pytest.mark.parametrize(("at_once", "described"), [(6, ["Ada", "Bob"]), (1, ["Ada"])])
async def test_only_so_many_are_observed_at_once(tmp_path: Path, at_once: int, described: list[str]) -> None:
    """Those about whom most is new."""
    async with mind(tmp_path, Hindsight(at_once=at_once)) as ada:
        ada.model.rules[OBSERVE] = {"descriptions": []}
        await think(
            ada, *(fact(f"Ada and Bob did thing {n}.", "Ada", "Bob") for n in range(2)), fact("Ada sings.", "Ada")
        )

        assert [name for name in ("Ada", "Bob") if f", {name}:" in ada.model.asked[-1]] == described


def memory(
    id: str,
    text: str,
    confidence: float = 1.0,
    at: float = NOON,
    kind: Any = "fact",
    links: tuple[Link, ...] = (),
) -> Memory:
    """One that this policy made."""
    scope, thought = Scope("acme", "ada"), Thought("hindsight", confidence=confidence, links=links)
    return Memory(id, scope, "", text, kind=kind, at=at, sources=(f"turn {id}",), thought=thought)


def found(*memories: Memory, score: float = 0.9) -> list[Candidate]:
    """As a store finds them."""
    signals = {"dense_turn": score, "dense_near": score, "bm25_turn": 20 * score, "bm25_near": 20 * score}
    return [Candidate(one, signals) for one in memories]


@pytest.mark.parametrize(
    ("knobs", "question", "dropped"),
    [
        ({}, "Who painted the harbour mural?", ""),
        ({"reached": 0}, "Who painted the harbour mural?", "far off"),
        ({"active": 0.8}, "Who painted the harbour mural?", "far off"),
        ({"follows": 0.1}, "Who painted the harbour mural?", "far off"),
        ({}, "What is the boiling point of lead?", "far off"),
    ],
)
def test_links_lead_to_what_shares_no_word(knobs: dict[str, Any], question: str, dropped: str) -> None:
    """A few, if much reaches them, and nothing where nothing was found to begin with."""
    mural = memory("mural", "Zelda painted the harbour mural.", links=(Link("studio", "entity"),))
    studio = Candidate(memory("studio", "Her workshop burned down."), {"links": 0.7})
    score = 0.9 if "mural" in question else 0.05
    hits = {hit.memory.id: hit for hit in Hindsight(**knobs).rank(question, [*found(mural, score=score), studio], NOON)}

    assert hits["studio"].dropped == dropped
    assert bool(hits["mural"].dropped) == ("lead" in question)


def test_how_sure_an_opinion_is_shows() -> None:
    """Firm as it is, doubtful with a word that says so, hardly believed not at all."""
    texts = {"firm": 0.8, "doubtful": 0.5, "hardly": 0.2}
    made = [memory(id, f"Green tea is the best {id} tea.", c, kind="opinion") for id, c in texts.items()]
    hits = {hit.memory.id: hit for hit in Hindsight().rank("Which green tea is best?", found(*made), NOON)}
    titles = {id: hit.memory.thought and hit.memory.thought.title for id, hit in hits.items()}

    assert titles == {"firm": "", "doubtful": "perhaps", "hardly": ""}
    assert hits["hardly"].dropped == "hardly believed" and not hits["firm"].dropped


def test_a_time_that_is_asked_for_is_an_arm_of_its_own() -> None:
    """Of two that are found alike the one in the middle of the period stands first, whatever its id."""
    there, then = (
        memory("b", "Ada sold honey.", at=NOON - 20 * DAY),
        memory("a", "Ada sold honey!", at=NOON - 400 * DAY),
    )
    hits = Hindsight().rank("How much honey did Ada sell in April 2026?", found(there, then), NOON)

    assert hits[0].memory.id == "b" and hits[0].score > hits[1].score


@given(st.permutations([f"m{n}" for n in range(6)]), st.integers(1, 200))
def test_one_ranking_alone_keeps_its_order(order: list[str], k: int) -> None:
    """Fusion is monotone: a pass-through of one arm, and agreement of two, change nothing."""
    arm = {id: float(-rank) for rank, id in enumerate(order)}
    for arms in ([arm], [arm, arm], [arm, {}]):
        points = fused(arms, k)
        assert sorted(points, key=lambda id: -points[id]) == order


def test_ranks_are_fused_as_in_the_paper() -> None:
    """The sum of 1 / (60 + rank)."""
    points = fused([{"a": 0.9, "b": 0.5}, {"b": 7.0}])

    assert points == pytest.approx({"a": 1 / 61, "b": 1 / 62 + 1 / 61})


def test_activation_spreads_along_the_strongest_way() -> None:
    """Each step carries a share on, at most so many steps, to what is there and was no seed."""
    links = {
        "a": (Link("b", "entity", 0.5), Link("c", "entity"), Link("gone", "causal")),
        "b": (Link("a", "entity"), Link("d", "entity")),
        "c": (Link("b", "causal"),),
        "d": (Link("e", "entity"),),
        "e": (),
    }

    assert activated({"a": 1.0}, links, 0.8) == pytest.approx({"b": 0.64, "c": 0.8, "d": 0.32})
    assert activated({}, links, 0.8) == {}


def test_links_in_time_grow_weaker_and_end() -> None:
    """e^(-dt / sigma), no link to what is too far, no more than so many, none to itself."""
    own = Knot("own", 0.0, frozenset(("Ada",)))
    others = [Knot(f"k{n}", n * DAY / 2, frozenset()) for n in range(12)]
    weights = [link.weight for link in woven(own, [own, *others], DAY, 4)]

    assert weights == pytest.approx([1.0, 0.6065, 0.3679, 0.2231], abs=1e-4)
    assert len(woven(own, [*others], DAY, 40)) == 5


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.1, 1.0))))
def test_of_several_links_the_strongest_stays(told: list[tuple[str, float]]) -> None:
    """One to each memory, and no weaker than any of the others."""
    kept = {link.to: link.weight for link in strongest(Link(to, "semantic", weight) for to, weight in told)}

    assert all(kept[to] >= weight for to, weight in told) and kept.keys() == {to for to, _ in told}


ADA_BYRON = Entity("Ada Byron", frozenset(("riga", "bees")), NOON)


@pytest.mark.parametrize(
    ("name", "beside", "at", "meant"),
    [
        ("ada byron", (), 0.0, "Ada Byron"),  # the same name, however written and however long ago
        ("Ada", ("Riga",), NOON, "Ada Byron"),  # part of it, with the same company
        ("Ada", ("Bern",), NOON, "Ada"),  # part of it, in other company
        ("Ada", ("Riga",), 0.0, "Ada Byron"),  # the company counts for more than the time
        ("Ada Byrron", ("Riga",), NOON, "Ada Byron"),  # a slip of the pen
        ("Ida Baron", ("Riga", "bees"), NOON, "Ida Baron"),  # another one
    ],
)
def test_who_is_who(name: str, beside: tuple[str, ...], at: float, meant: str) -> None:
    """By how alike the names are, who stands beside them, and when."""
    assert resolved(name, (*beside, name), at, {"ada byron": ADA_BYRON}) == meant


@given(st.lists(st.text(max_size=80), max_size=30), st.integers(0, 8))
def test_names_are_few_short_and_told_apart(names: list[str], most: int) -> None:
    """Whatever a model calls a name."""
    kept = tidy(names, most)

    assert len(kept) == len({name.casefold() for name in kept}) <= most
    assert all(0 < len(name) <= 60 for name in kept)
