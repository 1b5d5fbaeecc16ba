"""/admin/ui/policies: what each policy does, how it is set, and how memories fade under it."""

import json
import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import pytest
import pytest_asyncio

from tests.support.admin import Desk, open_desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

UI = "/admin/ui"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """The desk of this file."""
    async with open_desk(tmp_path_factory.mktemp("data"), policy="memorybank") as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cards(desk: Desk) -> dict[str, str]:
    """Each policy's card on the page, in the page's order."""
    answer = await desk.client.get(f"{UI}/policies")
    assert answer.status_code == 200
    found = re.findall(r'<article class="card" id="(\w+)">(.*?)</article>', answer.text, re.DOTALL)
    return {name: unescape(card) for name, card in found}


async def listed(desk: Desk) -> dict[str, dict[str, Any]]:
    """As the API tells them."""
    return {card["name"]: card for card in (await desk.get("/policies"))["policies"]}


async def test_every_policy_has_a_card_the_default_one_first(desk: Desk, cards: dict[str, str]) -> None:
    """With what it does and the paper it is made after."""
    policies = await listed(desk)

    assert next(iter(cards)) == "memorybank"
    assert cards.keys() == policies.keys()
    assert [name for name, card in cards.items() if ">default<" in card] == ["memorybank"]
    assert all(policies[name]["about"] in card and policies[name]["source"] in card for name, card in cards.items())


async def test_a_card_tells_every_knob(desk: Desk, cards: dict[str, str]) -> None:
    """Its own first; a knob that holds knobs by these; what is as in the default policy behind a click."""
    for name, policy in (await listed(desk)).items():
        told = re.findall(r'<th scope="row"><code>([\w.]+)</code></th><td>(.*?)</td>', cards[name])

        assert {knob.partition(".")[0] for knob, _ in told} == {knob["name"] for knob in policy["knobs"]}
    own, _, usual = cards["scm"].partition("<details>")
    assert "<code>long_tokens</code></th><td>300<" in own and "<code>keeps</code></th><td>yes<" in usual
    assert "<code>curve.tau</code></th><td>5<" in cards["memorybank"]
    assert "<details>" not in cards["memorybank"]


async def test_policies_that_forget_draw_their_curves(desk: Desk, cards: dict[str, str]) -> None:
    """All on one chart, as the API tells them, and in words for who cannot see it."""
    drawn = {name: re.findall(r'data-chart="(\{.*?\})"', card) for name, card in cards.items()}
    fades = (await listed(desk))["memorybank"]["fades"]
    chart = json.loads(drawn["memorybank"][0])

    assert {name for name, found in drawn.items() if found} == {"memorybank", "hema"}
    assert chart["lines"] == [{"label": fade["label"], "values": fade["kept"]} for fade in fades]
    assert chart["x"] == fades[0]["days"]
    assert "S = 1: half after 4 days, 0 % after 60" in cards["memorybank"]


async def test_a_card_leads_to_the_playground(cards: dict[str, str]) -> None:
    """Where its policy is chosen; the link says which."""
    for name, card in cards.items():
        link = f'href="{UI}/playground?tenant=acme&policy={name}" aria-label="Try {name} in the playground"'

        assert link.replace("tenant=acme&", "") in card or link in card
