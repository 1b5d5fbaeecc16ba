"""/admin/vitals: how this process fares, and /admin/policies: how memories fade under the policies that run."""

import math
from typing import Any

import pytest
from pydantic import TypeAdapter

from gateway.pulse import EVERY
from gateway.routes.admin.vital_shapes import Beats
from tests.support.admin import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_an_answer_shows_in_the_next_beat(desk: Desk, user: str) -> None:
    """What it was counted as, and how long its verbs took."""
    pulse = desk.gateway.services.pulse
    before = (await desk.get("/vitals"))["beats"][-1]
    await desk.chat(user, "My sister Ada keeps bees in Riga.", session="s")
    await pulse.beat()
    told = await desk.get("/vitals", since=before["at"])

    (beat,) = [beat for beat in told["beats"] if "relay" in beat["verbs"]]
    assert (beat["answers"], beat["turns"]) == (before["answers"] + 1, before["turns"] + 1)
    assert (beat["errors"], beat["pending"], beat["dead"]) == (before["errors"], 0, 0)
    assert 0 < beat["verbs"]["relay"]["p50"] <= beat["verbs"]["relay"]["p99"]
    assert (told["process"], told["every"]) == (pulse.process, EVERY)


async def test_every_verb_has_its_histogram(desk: Desk, user: str) -> None:
    """Of all the answers since the process began, with a count more than there are edges."""
    before = await desk.get("/vitals")
    await desk.chat(user, "My sister Ada keeps bees in Riga.", session="s")
    after = await desk.get("/vitals", since=before["beats"][-1]["at"] + 3600)
    told = after["histograms"]["relay"]

    assert after["beats"] == []
    assert sum(told["counts"]) == sum(before["histograms"].get("relay", {"counts": [0]})["counts"]) + 1
    assert len(told["counts"]) == len(told["edges"]) + 1
    assert told["edges"] == sorted(told["edges"])


async def test_the_answer_has_the_described_shape(desk: Desk) -> None:
    """Member for member."""
    told, adapter = await desk.get("/vitals"), TypeAdapter[Any](Beats)

    assert adapter.dump_python(adapter.validate_python(told), mode="json") == told
    assert told["beats"]


@pytest.mark.parametrize("since", ["yesterday", "-1", "nan", "inf"])
async def test_a_moment_is_a_number(desk: Desk, since: str) -> None:
    """Of seconds since 1970."""
    assert (await desk.client.get("/admin/vitals", params={"since": since})).status_code == 400


async def test_policies_that_forget_show_their_curves(desk: Desk) -> None:
    """By the knobs that they run with; no other policy has any."""
    cards = {card["name"]: card for card in (await desk.get("/policies"))["policies"]}
    (tau,) = [knob["value"]["tau"] for knob in cards["memorybank"]["knobs"] if knob["name"] == "curve"]

    assert {name for name, card in cards.items() if card["fades"]} == {"memorybank", "hema"}
    for fade, strength in zip(cards["memorybank"]["fades"], (1, 3, 5), strict=True):
        assert fade["label"] == f"S = {strength}"
        assert fade["kept"] == [round(math.exp(-day / (tau * strength)), 4) for day in fade["days"]]
    never, once = cards["hema"]["fades"]
    assert once["kept"][7] - never["kept"][7] == pytest.approx(1 / 3, abs=1e-3)
    assert once["kept"][8:] == never["kept"][8:]


async def test_policies_say_what_they_are_and_after_which_paper(desk: Desk) -> None:
    """In whole sentences, as their own files do; the default policy is after none."""
    cards = {card["name"]: card for card in (await desk.get("/policies"))["policies"]}

    assert cards["memorybank"]["source"] == "arXiv 2305.10250"
    assert cards["verbatim"]["source"] == cards["none"]["source"] == ""
    assert all(card["about"].endswith(".") for card in cards.values())
