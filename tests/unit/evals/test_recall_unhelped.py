"""Questions that a memory cannot help: which are drawn, how many, and why those with a known name stand apart."""

from collections.abc import Sequence

import pytest

from gateway.evals.recall.run import unhelped
from gateway.evals.recall.sample import NOBODY, Question, Sample, begun, names
from gateway.memory.records import Memory, Turn


def talk(name: str, said: Sequence[str], asked: Sequence[str]) -> Sample:
    """A conversation; none of its questions has gold."""
    told = tuple(Turn(f"{name}{i}", NOBODY, "s", "", 0.0, text, "") for i, text in enumerate(said))
    return Sample(name, told, tuple(Question(text, "x", (), ()) for text in asked), {})


ADA = talk("ada", ["I met Bob in Riga.", "Bees again."], ["Where did I meet Bob?"])
CY = talk("cy", ["I met Dora."], ["Where did Dora go?", "When did Bob see Dora?", "What is in Riga?", "Who plays?"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Where did Ada meet Bob?", {"Ada", "Bob"}),
        ("I met the IBM people, and I'm glad, said Bob", {"IBM", "Bob"}),
        ("nothing to see", set()),
        ("Bob", set()),
        (" Bob", {"Bob"}),
        ("", set()),
    ],
)
def test_a_name_is_a_capital_that_begins_no_text(text: str, found: set[str]) -> None:
    """But for "I"; a space before the text makes its first word count."""
    assert names([text]) == found


def test_names_of_many_texts_are_one_set() -> None:
    """Each text begins anew."""
    assert names(["Ask Ada", "Ask Bob", "Carl asks Ada"]) == {"Ada", "Bob"}


def test_questions_of_others_are_strangers_or_namesakes() -> None:
    """By whether they name anybody or anything that was spoken of here."""
    found = unhelped([ADA, CY], ADA)

    assert sorted(found["namesakes"]) == ["What is in Riga?", "When did Bob see Dora?"]
    assert sorted(found["strangers"]) == ["Where did Dora go?", "Who plays?"]


def test_an_exported_memory_knows_names_too() -> None:
    """Told memories are read as turns are."""
    told = (Memory("m", NOBODY, "s", "Bob lives in Riga."),)

    assert "When did Bob see Dora?" in unhelped([CY], Sample("mo", told, (), {}))["namesakes"]


def test_own_questions_are_never_among_them() -> None:
    """Not even when another conversation asks the same."""
    twin = talk("twin", ["I met Bob."], ["Where did I meet Bob?", "Who sings?"])
    found = unhelped([ADA, twin], ADA)

    assert [*found["strangers"], *found["namesakes"]] == ["Who sings?"]


def test_there_are_as_many_as_own_questions() -> None:
    """Of others' and of general ones; at least a few, lest there be nothing to tell."""
    own = talk("own", ["Bees."], [f"What of bee {n}?" for n in range(12)])
    other = talk("other", ["Ants."], [f"What of ant {n}?" for n in range(50)])
    many, few = unhelped([own, other], own), unhelped([ADA, other], ADA)

    assert (len(many["strangers"]) + len(many["namesakes"]), len(many["general"])) == (12, 12)
    assert (len(few["strangers"]) + len(few["namesakes"]), len(few["general"])) == (5, 5)


def test_the_same_are_drawn_of_a_beginning() -> None:
    """However little was told and whoever stands first, so that results can be compared; but what was not told is no
    name that is known."""
    other = talk("other", ["Ants."], [f"What of ant {n}?" for n in range(50)])
    begin = begun(ADA, 1)
    whole, part = unhelped([ADA, CY, other], ADA), unhelped([other, CY, ADA], begin)

    assert {k: sorted(v) for k, v in whole.items()} == {k: sorted(v) for k, v in part.items()}
    assert unhelped([ADA, CY], talk("ada", ["Bees again."], ["Where did I meet Bob?"]))["namesakes"] == []
