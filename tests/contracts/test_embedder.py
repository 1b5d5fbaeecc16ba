"""What every Embedder promises."""

import asyncio
import math

import pytest

from gateway.errors import MemoryUnavailable
from gateway.memory.ports import Embedder
from tests.contracts.conftest import EMBEDDERS
from tests.support.model import dot

pytestmark = pytest.mark.asyncio(loop_scope="module")  # loading a model takes a second: once is enough

TEXTS = [
    "My sister keeps bees in Riga.",
    "",
    " ",
    "\n\t",
    "a\0b",
    "lone \udc80 surrogate",
    "Моя сестра держит пчёл.",
    "私の妹は蜂を飼っています。",
    "أختي تربي النحل",
    "🐝" * 40,
    "x" * 5000,
    "word " * 20_000,
]


async def test_every_vector_has_unit_length(embedder: Embedder) -> None:
    """And the dimension that the embedder states; whatever the text."""
    for vector in await embedder.embed(TEXTS):
        assert len(vector) == embedder.dimension
        assert math.hypot(*vector) == pytest.approx(1, abs=1e-4)


async def test_vectors_come_in_the_order_of_the_texts(embedder: Embedder) -> None:
    """A batch gives what each text gives alone."""
    together = await embedder.embed(TEXTS)
    await embedder.forget()

    for text, vector in zip(TEXTS, together, strict=True):
        (alone,) = await embedder.embed([text])
        assert dot(vector, alone) == pytest.approx(1, abs=1e-3)


async def test_no_texts_no_vectors(embedder: Embedder) -> None:
    """An empty batch is accepted."""
    assert await embedder.embed([]) == []


async def test_a_text_given_twice_gets_its_vector_twice(embedder: Embedder) -> None:
    """One vector per text, not per different text."""
    first, other, second = await embedder.embed(["same", "other", "same"])

    assert first == second != other


async def test_like_texts_are_nearer(embedder: Embedder) -> None:
    """What shares meaning and words scores above what shares neither."""
    question, near, far = await embedder.embed(
        ["Where does my sister keep her bees?", "My sister keeps bees in Riga.", "Invoices are due on Friday."]
    )

    assert dot(question, near) > dot(question, far) + 0.1


async def test_many_texts_at_once(embedder: Embedder) -> None:
    """A batch has no limit that the caller must know."""
    texts = [f"number {number}" for number in range(75)]

    vectors = await embedder.embed(texts)

    assert len(vectors) == 75
    assert dot(vectors[74], (await embedder.embed(["number 74"]))[0]) == pytest.approx(1, abs=1e-3)


async def test_calls_may_run_at_once(embedder: Embedder) -> None:
    """Each gets its own vectors, also while others forget."""
    texts = [f"caller {number}" for number in range(12)]
    expected = await embedder.embed(texts)
    await embedder.forget()

    found = await asyncio.gather(*(embedder.embed([text, texts[0]]) for text in texts), embedder.forget())

    for vector, answer in zip(expected, found[:-1], strict=True):
        assert answer is not None
        assert dot(answer[0], vector) == pytest.approx(1, abs=1e-3)
        assert dot(answer[1], expected[0]) == pytest.approx(1, abs=1e-3)


async def test_forgetting_changes_no_answer(embedder: Embedder) -> None:
    """What was cached is computed anew."""
    (before,) = await embedder.embed(["a text"])
    await embedder.forget()
    (after,) = await embedder.embed(["a text"])

    assert dot(before, after) == pytest.approx(1, abs=1e-4)


async def test_it_says_what_it_is(embedder: Embedder) -> None:
    """An identity for the stamp; and it answers."""
    assert embedder.identity
    await embedder.ping()


@pytest.mark.parametrize("name", EMBEDDERS)
async def test_a_closed_embedder_is_unavailable(name: str) -> None:
    """Nothing foreign gets out."""
    async with EMBEDDERS[name]() as embedder:
        await embedder.ping()

    with pytest.raises(MemoryUnavailable):
        await embedder.ping()
    with pytest.raises(MemoryUnavailable):
        await embedder.embed(["never seen"])
