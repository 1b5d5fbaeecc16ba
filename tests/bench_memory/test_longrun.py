"""A slice of the long run: months are made the same every time, prompts keep to the window, evidence is found again."""

from pathlib import Path

import pytest

from tests.bench_memory.longplot import Look, curve, table
from tests.bench_memory.longrun import PROMPT, begun, lived
from tests.bench_memory.months import DAYS, life, question
from tests.support.quick import chosen
from tests.unit.stores.house import Words

SLICE = ("verbatim", "hema", "memos")


def test_a_life_is_the_same_every_time() -> None:
    """And of its facts no two are about the same thing, so that a question has one answer."""
    said = [*life(400)]
    facts = [one.text.rpartition(" until ")[0] for one in said if one.fact]

    assert said == [*life(400)]
    assert len(facts) == len({*facts}) and 80 < len(facts) < 160
    assert DAYS * 86_400 * 0.99 < said[-1].at < DAYS * 86_400


def test_a_question_does_not_hold_its_answer() -> None:
    """It asks for the year."""
    assert question("My sister Ada used to keep bees in Riga until 1987.") == (
        "Until when did my sister Ada keep bees in Riga?"
    )


@pytest.mark.parametrize("name", SLICE)
async def test_prompts_keep_to_the_window(name: str) -> None:
    """Whatever stands by under a policy, when the conversation has long outgrown it; and memory tells something of
    what left it."""
    looks = await lived(chosen(name), Words(), turns=120, every=60)

    assert [look.turns for look in looks] == [60, 120]
    assert all(0 < look.prompt <= PROMPT for look in looks)
    assert looks[-1].active >= 100


async def test_a_fact_that_left_the_window_is_recalled(tmp_path: Path) -> None:
    """The first one of all, after a hundred turns."""
    async with begun(tmp_path, chosen("verbatim"), Words()) as ada:
        for said in life(100):
            ada.clock.now += 60
            await ada.say(said)

        assert (await ada.knows(ada.facts[0]))[0]
        assert not (await ada.knows("My aunt Olga used to lend maps in Graz until 1999."))[0]


def test_the_tables_have_a_line_per_policy() -> None:
    """Longest prompt of all looks, mean and last recall, growth per thousand turns."""
    looks = {"scm": [Look(100, 900, 1.0, 100, 0), Look(200, 800, 0.5, 220, 30)]}

    assert table(looks).splitlines()[-1] == "| scm | 900 | 0.75 | 0.50 | 1100 | 30 |"
    assert curve(looks).splitlines()[-1] == "| scm | 1.00 | 0.50 |"
