"""A rush of questions: recalls wait for each other, and none waits beyond its deadline."""

import asyncio
import time
from pathlib import Path

import httpx
import pytest

from tests.support.gateway import running_gateway
from tests.support.upstream import Reply, scripted_upstream

ANSWER = Reply(chunks=(b'{"choices":[{"index":0,"message":{"role":"assistant","content":"Noted."}}]}',))


@pytest.mark.parametrize("deadline", [0.02, 5.0])
async def test_a_rush_is_answered_with_or_without_memory(deadline: float, tmp_path: Path) -> None:
    """Forty questions at once are all answered; what memory skipped is the deadline's doing, and with time enough
    nothing is skipped."""
    async with (
        scripted_upstream() as worker,
        running_gateway(tmp_path, worker.url, recall_deadline=deadline) as gateway,
        gateway.client(timeout=60) as client,
    ):
        worker.default = ANSWER

        async def ask(number: int) -> httpx.Response:
            body = {"model": "m", "messages": [{"role": "user", "content": f"What about bee number {number}?"}]}
            return await client.post("/v1/chat/completions", json=body)

        began = time.monotonic()
        answers = await asyncio.gather(*(ask(number) for number in range(40)))
        took = time.monotonic() - began

    assert {answer.status_code for answer in answers} == {200}
    skipped = {answer.headers.get("x-mneme-skipped") for answer in answers}
    assert skipped <= ({None, "recall-deadline"} if deadline < 1 else {None})
    assert took < 30
