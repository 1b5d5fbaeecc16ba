"""What an operator is answered when something of ours breaks."""

import logging
from collections.abc import Sequence

import pytest

from gateway.memory.policies.verbatim import Verbatim
from gateway.memory.records import Candidate, Hit
from tests.support.admin import Desk
from tests.support.raw import wire

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Quoting(Verbatim):
    """A policy with a bug, of the kind whose message holds what it choked on."""

    def rank(self, asked: str, candidates: Sequence[Candidate], now: float) -> list[Hit]:
        raise ValueError(f"cannot rank {asked!r}")


async def test_a_bug_is_answered_in_the_words_of_all_errors(
    desk: Desk, user: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A 500 that tells nothing of what broke; it is logged once, and the connection goes on."""
    policies = desk.gateway.services.policies
    assert isinstance(policies, dict)
    policies["adaptive"] = Quoting()
    await desk.note(user, "Prefers tea.")
    target = f"/admin/search?tenant=acme&user={user}&policy=adaptive&q=walrus".encode()

    with caplog.at_level(logging.ERROR):
        async with wire(desk.gateway.port) as line:
            answers = [await line.ask(b"GET", target, b"", ()) for _ in range(2)]

    told = {"message": "The gateway failed; its log says why.", "type": "server_error", "param": None, "code": None}
    assert [(answer.status, answer.json()) for answer in answers] == [(500, {"error": told})] * 2
    assert [record.getMessage() for record in caplog.records] == ["a request failed"] * 2
