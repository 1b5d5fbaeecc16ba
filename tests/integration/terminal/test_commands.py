"""`mneme top` and `mneme memories` as people start them: on a real terminal, through a pipe, with the wrong key."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.admin import Desk, open_desk
from tests.support.gateway import ROOT
from tests.support.terminal import at_terminal

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

KEY = "front-door-key"
HOSTILE = "bees \x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp\x00 end"
NAMED = "bees ⟨U+001B⟩]0;owned⟨U+0007⟩⟨U+001B⟩[2J⟨U+009B⟩31m⟨U+202E⟩gnp⟨U+0000⟩ end"
AS_WRITTEN = (b"\x1b]0;", b"\xc2\x9b", "\u202e".encode(), b"\x00")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """A gateway with an admin key, whose ada said something that no terminal should obey."""
    async with open_desk(tmp_path_factory.mktemp("data"), admin_key=KEY) as opened:
        await opened.chat("ada", HOSTILE, session="talk")
        await opened.gateway.services.pulse.beat()
        yield opened


async def mneme(*words: str, **knobs: str) -> tuple[int, str, str]:
    """Runs the command without a terminal: exit status, output, and what it said of it."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("MNEME_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", *words),
        cwd=ROOT,
        env=env | knobs,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, said = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), said.decode()


async def test_top_prints_once_without_a_terminal(desk: Desk) -> None:
    """Parts, queue, verbs, worker and tenants; and without the key it says why not."""
    status, out, _ = await mneme("top", "--url", desk.gateway.url, MNEME_ADMIN_KEY=KEY)
    refused = await mneme("top", "--url", desk.gateway.url)

    assert status == 0
    assert all(word in out for word in ("journal ok", "0 wait", "admit", desk.worker.url, "acme"))
    assert refused[0] == 1 and refused[2].startswith("mneme: /admin needs")


async def test_memories_are_lines_without_a_terminal(desk: Desk) -> None:
    """Nothing in them steers the terminal that they may end on; as JSON they are what the API tells."""
    where = ("--url", desk.gateway.url, "--tenant", "acme", "--user", "ada")
    _, lines, _ = await mneme("memories", *where, MNEME_ADMIN_KEY=KEY)
    _, told, _ = await mneme("memories", *where, "--json", "bees", MNEME_ADMIN_KEY=KEY)

    assert lines.endswith(f"{NAMED}\n") and lines.count("\n") == 1
    assert told.isascii() and "\x1b" not in told
    assert json.loads(told)["memory"]["text"] == HOSTILE and "score" in json.loads(told)


async def test_top_refreshes_in_place_until_q(desk: Desk) -> None:
    """What happens while it runs appears; at the end the terminal is what it was."""
    async with at_terminal("top", "--url", desk.gateway.url, "--every", "0.5", MNEME_ADMIN_KEY=KEY) as terminal:
        await terminal.shows("TENANT")
        worker = desk.gateway.services.fleet.workers[0]
        worker.standing.draining = True
        await terminal.shows("draining")
        worker.standing.draining = False
        terminal.press("q")
        status = await terminal.ended()

    assert status == 0
    assert terminal.written.rindex(b"\x1b[?1049l") > terminal.written.index(b"\x1b[?1049h")


async def test_ctrl_c_leaves(desk: Desk) -> None:
    """With the status that other commands have, and the terminal as it was."""
    async with at_terminal("top", "--url", desk.gateway.url, MNEME_ADMIN_KEY=KEY) as terminal:
        await terminal.shows("TENANT")
        terminal.press("\x03")
        status = await terminal.ended()

    assert status == 130
    assert b"\x1b[?1049l" in terminal.written


async def test_memories_are_walked_through(desk: Desk) -> None:
    """Shown, archived, undone, searched; and what a user wrote never reaches the terminal as it was written."""
    where = ("--url", desk.gateway.url, "--tenant", "acme", "--user", "ada")
    async with at_terminal("memories", *where, columns=160, MNEME_ADMIN_KEY=KEY) as terminal:
        await terminal.shows(NAMED)
        terminal.press("\r")
        await terminal.shows("What it rests on")
        terminal.press("a")
        await status_is(desk, "archived")
        terminal.press("u")
        await status_is(desk, "active")
        terminal.press("\x1b/bees\r")
        await terminal.shows("best first")
        terminal.press("q")
        status = await terminal.ended()

    assert status == 0
    assert [hostile for hostile in AS_WRITTEN if hostile in terminal.written] == []


async def test_a_terminal_that_nobody_knows_is_refused(desk: Desk) -> None:
    """By name of the setting to mend."""
    async with at_terminal("top", "--url", desk.gateway.url, MNEME_ADMIN_KEY=KEY, TERM="no-such-terminal") as terminal:
        status = await terminal.ended()
        await terminal.shows("set TERM")

    assert status == 1


async def status_is(desk: Desk, status: str) -> None:
    """Return once ada's memory has it."""
    async with asyncio.timeout(20):
        while True:
            told = await desk.client.get(
                "/admin/memories",
                params={"tenant": "acme", "user": "ada"},
                headers={"authorization": f"Bearer {KEY}"},
            )
            if told.json()["items"][0]["status"] == status:
                return
            await asyncio.sleep(0.05)
