"""The worker's half: copies blocks out of the pool and into it, and leaves the disk to two threads of its own, one for
writing, one for reading. Decides nothing; whatever goes wrong is counted and fails no request."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from vllm.logger import init_logger

from workers.kv.stream import runs
from workers.vllm_plugin.sessions.counts import SessionCounts
from workers.vllm_plugin.sessions.folder import Content, Folder, Rows, Unreadable
from workers.vllm_plugin.sessions.orders import Load, Part, Save

_LOG = init_logger("vllm.mneme.sessions")
_BEHIND = 1 << 30  # bytes of copies that may wait for the disk, beside a first one


class Keeping:
    """One per worker process. `groups`: the layers of each of the engine's block tables."""

    def __init__(self, folder: Folder, groups: Sequence[Sequence[str]]) -> None:
        self._folder, self._groups = folder, groups
        self._caches: Mapping[str, torch.Tensor] = {}
        self.counts = SessionCounts()
        self._writer = ThreadPoolExecutor(1, "sessions-write")
        self._reader = ThreadPoolExecutor(1, "sessions-read")
        self._writing: list[tuple[Future[tuple[int, int]], int]] = []
        self._reading: list[tuple[Future[dict[str, Rows]], Load]] = []

    def open(self, caches: Mapping[str, torch.Tensor]) -> None:
        """`caches`: each layer's pool, [blocks, ...]."""
        self._caches = {name: caches[name] for group in self._groups for name in group}

    def save(self, order: Save) -> None:
        """Copy the blocks now, before a step can overwrite them; write the copy later."""
        self._written()
        size = sum(
            len(part.ids) * self._caches[name][0].nbytes
            for group, part in zip(self._groups, order.parts, strict=True)
            for name in group
        )
        if self._writing and size + sum(waiting for _, waiting in self._writing) > _BEHIND:
            self.counts.add("busy")
            return
        try:
            layers = {
                name: _out_of(self._caches[name], part)
                for group, part in zip(self._groups, order.parts, strict=True)
                for name in group
            }
        except (RuntimeError, MemoryError) as wrong:
            self._failed(wrong)
            return
        groups = tuple(runs(part.places) for part in order.parts)
        content = Content(order.facts, order.hashes, groups, layers)
        self._writing.append((self._writer.submit(self._folder.save, order.key, content), size))

    def load(self, order: Load) -> None:
        """Read the file; `arrived` puts it into the pool."""
        self._reading.append((self._reader.submit(self._folder.load, order.key, order.digest), order))

    def arrived(self) -> tuple[set[str], set[str]]:
        """The requests whose load has ended since the last time, and those of them that got nothing."""
        self._written()
        done = [(reading, order) for reading, order in self._reading if reading.done()]
        self._reading = [each for each in self._reading if each not in done]
        failed = {order.request for reading, order in done if not self._put(reading, order)}
        return {order.request for _, order in done}, failed

    def close(self) -> None:
        """Write what waits; nothing else is lost."""
        self._reader.shutdown(cancel_futures=True)
        self._writer.shutdown()
        self._written()

    def _put(self, reading: "Future[dict[str, Rows]]", order: Load) -> bool:
        try:
            layers = reading.result()
            for group, part in zip(self._groups, order.parts, strict=True):
                for name in group:
                    _into(self._caches[name], part, layers[name])
        except (Unreadable, RuntimeError, MemoryError, KeyError, IndexError, ValueError) as wrong:
            self.counts.add("unreadable")
            _LOG.warning("Session file %s is not used: %s", order.key[:12], wrong)
            return False
        return True

    def _written(self) -> None:
        done = [writing for writing, _ in self._writing if writing.done()]
        self._writing = [each for each in self._writing if each[0] not in done]
        for writing in done:
            try:
                size, evicted = writing.result()
            except (OSError, MemoryError) as wrong:
                self._failed(wrong)
                continue
            self.counts.add("saved" if size else "unchanged")
            self.counts.add("saved_bytes", size)
            self.counts.add("evicted", evicted)

    def _failed(self, wrong: BaseException) -> None:
        self.counts.add("failed")
        _LOG.warning("A session was not saved: %s", wrong)


def _out_of(cache: torch.Tensor, part: Part) -> Rows:
    """The part's blocks of a layer's pool as bytes, in host memory."""
    copied = cache[torch.tensor(part.ids, dtype=torch.int64, device=cache.device)].cpu().contiguous()
    rows: Rows = copied.view(torch.uint8).reshape(len(part.ids), -1).numpy()
    return rows


def _into(cache: torch.Tensor, part: Part, rows: Rows) -> None:
    """The part's rows of a layer's file into its blocks of the pool."""
    taken = torch.from_numpy(np.ascontiguousarray(rows[list(part.rows)]))
    shaped = taken.view(cache.dtype).reshape(len(part.ids), *cache.shape[1:])
    cache[torch.tensor(part.ids, dtype=torch.int64, device=cache.device)] = shaped.to(cache.device)
