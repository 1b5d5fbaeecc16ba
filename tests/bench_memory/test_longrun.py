"""A slice of the long run: months are made the same every time, prompts keep to the window, evidence is found again."""

from pathlib import Path

import pytest

from gateway.memory.policies.hema import Hema
from gateway.memory.policies.memorybank import MemoryBank
from gateway.memory.policies.memos import Memos
from tests.bench_memory.longplot import Look, curve, growth, sublinear, table
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


GROWING = {
    "hema": (Hema(chapter=16, pruned=0.1), True),
    "memos": (Memos(ttl=30.0), True),
    "memorybank": (MemoryBank(), True),
    "memorybank, unforgetting": (MemoryBank(kept=0.0), False),
}


@pytest.mark.parametrize("name", GROWING)
async def test_what_is_archived_makes_growth_sublinear(name: str) -> None:
    """Of what is active, where turns leave by salience, or by age; by knobs that tell within so few turns."""
    policy, expected = GROWING[name]
    looks = await lived(policy, Words(), turns=80, every=20)

    assert sublinear(looks) is expected
    assert looks[-1].active + looks[-1].resting >= 80


def test_growth_at_an_even_pace_is_linear() -> None:
    """Whatever stands beside the turns from the beginning on, and whatever share of them rests."""
    assert not sublinear([Look(n, 900, 1.0, n + 5, 0) for n in (200, 400, 600, 800)])
    assert not sublinear([Look(n, 900, 1.0, n // 2, n // 2) for n in (200, 400, 600, 800)])
    assert sublinear([Look(n, 900, 1.0, round(n**0.9), n) for n in (200, 400, 600, 800)])


def test_the_tables_have_a_line_per_policy() -> None:
    """Longest prompt of all looks, mean and last recall; growth from half to half."""
    looks = {"scm": [Look(100, 900, 1.0, 110, 0), Look(200, 800, 0.5, 150, 60)]}

    assert table(looks).splitlines()[-1] == "| scm | 900 | 0.75 | 0.50 |"
    assert growth(looks).splitlines()[-1] == "| scm | 105.0 | 100.0 % | 40.0 % | 60 | sublinear |"
    assert curve(looks).splitlines()[-1] == "| scm | 1.00 | 0.50 |"
