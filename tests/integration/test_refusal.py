"""When our text made the worker refuse the prompt, it is asked again without; its verdict on the client's own prompt
is what the client sees."""

import orjson
import pytest

from tests.integration.conftest import House
from tests.integration.test_splice import ANSWER, FACT, QUESTION, question, remember
from tests.support.raw import CHAT, OFF, Response, ask, chat
from tests.support.upstream import Reply

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOO_LONG = b'{"error":{"message":"maximum context length is 9","type":"BadRequestError","param":null,"code":400}}'


def refusal(status: int = 400, body: bytes = TOO_LONG) -> Reply:
    """The worker does not want this prompt."""
    return Reply(
        status=status, headers=((b"content-type", b"application/json"), (b"x-from", b"worker")), chunks=(body,)
    )


def told(answer: Response) -> tuple[int, list[bytes], bytes | None]:
    """Status, what was skipped, and how many memories are said to be in the prompt."""
    return answer.status, answer.skipped, answer.header(b"x-mneme-count")


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_refused_prompt_is_sent_again_without_our_text(house: House, status: int) -> None:
    """The client gets the second answer, and a header says what was left out."""
    await remember(house)
    body = question(f"{QUESTION} ({status})")
    house.worker.reply(refusal(status), ANSWER)

    answer = await ask(house.port, b"POST", CHAT, body)

    first, second = house.worker.received
    assert (FACT.encode() in first.body, second.body) == (True, body)
    assert (told(answer), answer.body) == ((200, [b"refused-by-worker"], b"0"), ANSWER.chunks[0])


async def test_the_workers_own_verdict_is_passed_byte_for_byte(house: House) -> None:
    """When it refuses the client's own prompt too, that is its answer."""
    await remember(house)
    verdict = b'{"error": {"message":"top_p must be in (0, 1]", "code":400}}'
    house.worker.reply(refusal(), refusal(body=verdict))

    answer = await chat(house.port, QUESTION + " Please.")

    assert (answer.status, answer.body, answer.header(b"x-from")) == (400, verdict, b"worker")
    assert told(answer) == (400, [b""], b"0")


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503])
async def test_an_error_that_is_not_about_the_prompt_is_not_asked_again(house: House, status: int) -> None:
    """The worker is overloaded or broken, and a second request would not help it."""
    await remember(house)
    house.worker.reply(refusal(status))

    answer = await chat(house.port, QUESTION + " Now.")

    assert (answer.status, answer.body, len(house.worker.received)) == (status, TOO_LONG, 1)


async def test_a_refusal_of_the_clients_own_bytes_is_not_asked_again(house: House) -> None:
    """Nothing of ours was in it."""
    house.worker.reply(refusal())

    answer = await chat(house.port, QUESTION, OFF)

    assert (answer.status, answer.body, len(house.worker.received)) == (400, TOO_LONG, 1)


async def test_what_was_refused_is_not_replayed(house: House) -> None:
    """The next turn of the conversation does not bring the refused text back."""
    await remember(house)
    ask_first = {"role": "user", "content": QUESTION + " Again?"}
    house.worker.reply(refusal(), ANSWER)
    await chat(house.port, "", messages=[ask_first])

    house.worker.received.clear()
    house.worker.reply(ANSWER)
    follow = [
        ask_first,
        {"role": "assistant", "content": "Noted."},
        {"role": "user", "content": "Thanks, that is all."},
    ]
    await chat(house.port, "", messages=follow)

    assert orjson.loads(house.worker.received[0].body)["messages"][0] == ask_first


async def test_a_refused_turn_is_learned_all_the_same(house: House) -> None:
    """The second answer is an answer."""
    turns = house.gateway.services.telemetry.turns.labels("final")
    before = turns._value.get()
    house.worker.reply(refusal(), ANSWER)

    await chat(house.port, "My brother Ivo repairs clocks in Graz.")

    assert turns._value.get() == before + 1
