"""The table of word vectors: narrowed once, kept, read again, and refused with a remedy when it is damaged."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from gateway.errors import DataDirectoryRefused
from gateway.memory.embedders.minilm_words import DIMENSIONS, words
from tests.support.gateway import ROOT

MODELS = ROOT / "build" / "test-models"
TABLE = "embeddings.word_embeddings.weight"


def made(folder: Path, name: str = TABLE, width: int = 160) -> Path:
    """Weights of a small model: 300 words, of which "kids" and "children" have nearly the same vector."""
    folder.mkdir(exist_ok=True)
    table = np.random.default_rng(3).normal(size=(300, width)).astype(np.float32)
    table[1] = table[0] + 0.1 * table[1]
    vocabulary = {"kids": 0, "children": 1, "bicycle": 2} | {f"word{n}": n for n in range(3, 300)}
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocabulary}}))
    save_file({name: table}, folder / "model.safetensors")
    return folder


def kept(cache: Path) -> Path:
    """The one file that is kept."""
    (file,) = cache.glob("*.npy")
    return file


async def refusal(cache: Path, folder: Path) -> str:
    """Why the table is refused."""
    with pytest.raises(DataDirectoryRefused) as refused:
        await words(cache, folder)
    return refused.value.message


async def test_every_word_has_a_unit_row(tmp_path: Path) -> None:
    """And what is unknown the last one, which is zero."""
    found = await words(tmp_path / "cache", made(tmp_path / "weights"))

    assert found.table.shape == (301, DIMENSIONS)
    assert found.table.dtype == np.float32
    assert np.linalg.norm(found.table[:-1], axis=1) == pytest.approx(np.ones(300), abs=1e-5)
    assert not found.table[-1].any()


async def test_what_was_near_stays_near(tmp_path: Path) -> None:
    """Narrowing keeps the directions in which words differ."""
    found = await words(tmp_path / "cache", made(tmp_path / "weights"))
    alike, apart = found.nearness(found.ids(["kids"]), [found.ids(["children"]), found.ids(["bicycle"])])[0]

    assert alike > 0.9
    assert apart < 0.5


async def test_the_packaged_table_has_every_word() -> None:
    """The real vocabulary, one row each."""
    found = await words(MODELS)

    assert found.table.shape == (len(found.rows) + 1, DIMENSIONS)
    assert {"kids", "children"} <= found.rows.keys()


async def test_it_is_narrowed_once(tmp_path: Path) -> None:
    """After that the large file is not read again: here it is gone. No draft is left."""
    folder = made(tmp_path / "weights")
    first = await words(tmp_path / "cache", folder)
    (folder / "model.safetensors").unlink()
    second = await words(tmp_path / "cache", folder)

    assert (first.table == second.table).all()
    assert os.listdir(tmp_path / "cache") == [kept(tmp_path / "cache").name]


@pytest.mark.parametrize("length", [0, 5, 1000])
async def test_a_damaged_table_is_refused(tmp_path: Path, length: int) -> None:
    """However much of it is left; the message names the file that may be deleted."""
    folder = made(tmp_path / "weights")
    await words(tmp_path / "cache", folder)
    file = kept(tmp_path / "cache")
    file.write_bytes(file.read_bytes()[:length])

    assert str(file) in await refusal(tmp_path / "cache", folder)


async def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    """And nothing is kept of them."""
    folder = made(tmp_path / "weights")
    (folder / "model.safetensors").write_bytes(b"no weights")

    assert "cannot be read" in await refusal(tmp_path / "cache", folder)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("missing", ["model.safetensors", "tokenizer.json"])
async def test_missing_files_are_refused(tmp_path: Path, missing: str) -> None:
    """By name."""
    folder = made(tmp_path / "weights")
    (folder / missing).unlink()

    assert missing in await refusal(tmp_path / "cache", folder)


async def test_weights_without_the_table_are_refused(tmp_path: Path) -> None:
    """Such as those of another model."""
    assert TABLE in await refusal(tmp_path / "cache", made(tmp_path / "weights", name="another"))


async def test_a_cache_that_cannot_be_a_directory_is_refused(tmp_path: Path) -> None:
    """A file stands in its place."""
    (tmp_path / "cache").write_text("")

    assert str(tmp_path / "cache") in await refusal(tmp_path / "cache", made(tmp_path / "weights"))
