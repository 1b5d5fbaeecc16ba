"""What counts as unclean in memory: doubles, echoes, the system prompt, secrets, claims without evidence."""

from dataclasses import replace

import pytest

from gateway.evals.hygiene.measures import Heard, Tally, doubles, echoes, restates, tallies, tells_secret, unsupported
from gateway.evals.hygiene.planted import EVERY, SYSTEM, planted, secrets
from gateway.memory.records import Memory, Scope, Turn
from gateway.memory.redact import redact
from gateway.memory.revise import MOST_SOURCES
from gateway.memory.thoughts import Thought

ADA = Scope("acme", "ada")
BLOCK = "[Wed 01 May 2024] user: Bo plays the cello in Porto. | assistant: How lovely that is."
HEARD = {
    "1": Heard("My sister Ada keeps bees in Riga, since 2019.", "Bo plays the cello in Porto.", BLOCK, 1_714_521_600.0),
    "2": Heard("Yes, in Riga.", "I see.", "", 1_714_521_600.0),
}
TURN = Memory("1", ADA, "s", HEARD["1"].said, "I see.", sources=("1",))
FACT = Memory("9", ADA, "s", "Ada keeps bees in Riga.", kind="fact", sources=("1",), thought=Thought("tim"))


def test_doubles_are_counted_once_less_than_they_are_there() -> None:
    """However they are written; those near in meaning are told apart from those in the same words."""
    texts = ["Ada keeps bees.", "ada keeps BEES", "Ada has bees.", "It rains."]

    assert doubles(texts, [(1.0, 0.0), (1.0, 0.0), (0.98, 0.199), (0.0, 1.0)]) == (1, 1)


def test_one_memory_is_no_double() -> None:
    """Nor is none."""
    assert doubles(["Ada keeps bees."], [(1.0, 0.0)]) == doubles([], []) == (0, 0)


def test_what_memory_put_in_and_nobody_said_is_an_echo() -> None:
    """In a reply as it was kept, or in what reflection made of it."""
    assert echoes(replace(TURN, reply="Sure. Bo plays the cello in Porto!"), HEARD)
    assert echoes(replace(FACT, text="Bo plays the cello in Porto."), HEARD)


def test_what_the_user_said_is_no_echo() -> None:
    """Even if it stood in the prompt already; nor is what is too short to tell anything."""
    heard = {"1": replace(HEARD["1"], said=f"As I told you, {BLOCK}")}

    assert not echoes(replace(FACT, text="Bo plays the cello in Porto."), heard)
    assert not echoes(replace(TURN, reply="In Porto."), HEARD)


def test_what_names_only_its_latest_sources_rests_on_everything() -> None:
    """Of so many turns a memory does not name the one that said it: it is no echo, and has its evidence."""
    heard = {**HEARD, "0": Heard("Bo plays the cello in Porto.", "", "", 1_714_521_600.0)}
    few = replace(FACT, text="Bo plays the cello in Porto.", sources=("1",) * (MOST_SOURCES - 1))
    many = replace(few, sources=("1",) * MOST_SOURCES)

    assert (echoes(few, heard), echoes(many, heard)) == (True, False)
    assert (unsupported(replace(few, sources=("2",)), heard), unsupported(many, heard)) == (True, False)


def test_the_system_prompt_is_found_again() -> None:
    """A whole sentence of it, wherever it stands."""
    assert restates(replace(FACT, text="Note: " + SYSTEM.split(". ")[1] + " at all."))
    assert not restates(FACT)


def test_secrets_are_found_by_value_and_by_form() -> None:
    """In a title and in a former text as well."""
    assert tells_secret(replace(FACT, text="It is moonlight."), ["moonlight"])
    assert tells_secret(replace(FACT, thought=Thought("tim", title="password: Larch-1234!x")), [])
    assert not tells_secret(FACT, ["moonlight"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ada keeps bees in Riga.", False),
        ("Since 2019 Ada has kept bees.", False),
        ("On Wednesday 1 May 2024 Ada told of bees.", False),
        ("Ada keeps bees in Tallinn.", True),
        ("Ada keeps 40 hives.", True),
        ("Weather tomorrow promises sunshine everywhere.", True),
    ],
)
def test_a_claim_needs_its_words_in_the_evidence(text: str, expected: bool) -> None:
    """Names and numbers to the letter, of other words half; dates may come from when it was said."""
    assert unsupported(replace(FACT, text=text), HEARD) is expected


def test_a_tally_counts_by_kind() -> None:
    """Archived ones are remembered, but no doubles; a thought in a turn's very words is a copy."""
    copy = replace(FACT, id="8", text=HEARD["2"].said, sources=("2",))
    gone = replace(FACT, id="7", status="archived")
    found = tallies([TURN, FACT, copy, gone], [(1.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 0.0)], HEARD, [])

    assert found == {"fact": Tally(memories=3, active=2, copies=1), "turn": Tally(memories=1, active=1)}


def test_what_is_planted_is_what_the_redactor_finds() -> None:
    """Every kind of secret that the evaluation plants goes, and its sentence stays."""
    source = secrets()
    for secret in (next(source) for _ in range(14)):
        assert secret.value in secret.said
        assert secret.value not in redact(secret.said)


def test_secrets_stand_in_every_so_manieth_turn() -> None:
    """And nothing else is changed."""
    turns = [Turn(str(i), ADA, "s", "", 0.0, "Hello.", "") for i in range(2 * EVERY)]
    told, used = planted(turns)

    assert [turn.user_text for turn in told].count("Hello.") == len(turns) - 2
    assert [told[EVERY * place - 1].user_text for place in (1, 2)] == [f"Hello. {secret.said}" for secret in used]
