"""MiniLM's table of word vectors, narrowed to what the ranker needs. Reads the weights; never embeds anything."""

import asyncio
import json
import os
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from gateway.errors import DataDirectoryRefused
from gateway.memory.embedders.minilm import weights_folder
from gateway.memory.words import Matrix, Words

# On LoCoMo 128 of the 384 dimensions found as much as all of them, and 64 a little less.
DIMENSIONS = 128
_TABLE_VERSION = 1
_TABLE = "embeddings.word_embeddings.weight"


async def words(cache: Path, folder: Path | None = None) -> Words:
    """The table; `cache` is a directory for the narrowed one, `folder` has tokenizer.json and the weights (None: the
    installed package's). DataDirectoryRefused when they are missing."""
    return await asyncio.to_thread(_open, cache, folder or weights_folder())


def _open(cache: Path, folder: Path) -> Words:
    kept = cache / f"words-{DIMENSIONS}-{_TABLE_VERSION}.npy"
    try:
        vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
        if not kept.exists():
            _keep(kept, _narrow(load((folder / "model.safetensors").read_bytes())[_TABLE]))
        table = np.load(kept)
    except (OSError, EOFError, ValueError, KeyError, SafetensorError) as failed:
        raise DataDirectoryRefused(f"The word vectors cannot be read ({failed}): delete {kept}.") from failed
    return Words(vocabulary, table)


def _keep(file: Path, table: Matrix) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(f".{os.getpid()}.npy")
    np.save(draft, table)
    draft.replace(file)


def _narrow(table: Matrix) -> Matrix:
    """Unit vectors along the directions in which words differ most, and a zero row for unknown words."""
    centred = table - table.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    narrow = centred @ directions[:, -DIMENSIONS:]
    unit = narrow / np.maximum(np.linalg.norm(narrow, axis=1, keepdims=True), 1e-6)
    return np.concatenate([unit, np.zeros((1, DIMENSIONS))]).astype(np.float32)
