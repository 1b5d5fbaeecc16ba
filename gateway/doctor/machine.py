"""What the machine gives this process: open files, cores, and what the embedder's kernels are made for."""

import os
import re
import resource
from collections.abc import Sequence
from pathlib import Path

from gateway.doctor.finding import Finding

# A streamed answer takes two, the stores a few dozen.
_FILES, _FEW = 4096, 512
_CPU = Path("/proc/cpuinfo")


def look(*, local: bool, embeds: bool, files: int | None = None, cpu: Path = _CPU) -> Sequence[Finding]:
    """`local`: for one user on this machine; `embeds`: the embedder computes here. `files` is the limit of open files
    (None: this process's own), `cpu` where the system describes its processors."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if files is None else files
    return [_files(limit, _FEW if local else _FILES), _cores(cpu, embeds=embeds)]


def _files(limit: int, least: int) -> Finding:
    if 0 <= limit < least:
        advice = f"Raise it: ulimit -n {4 * _FILES}, LimitNOFILE in systemd, ulimits in Compose."
        return Finding("open files", "warn", f"at most {limit}, enough for {limit // 3} answers at once", advice)
    return Finding("open files", "ok", f"at most {limit}" if limit >= 0 else "no limit")


def _cores(cpu: Path, *, embeds: bool) -> Finding:
    told = f"{len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores"
    flags = _flags(cpu)
    if embeds and flags and "avx2" not in flags:
        advice = "The embedder is several times slower without; MNEME_EMBEDDER=http has another machine do it."
        return Finding("cores", "warn", f"{told}, without AVX2", advice)
    return Finding("cores", "ok", told)


def _flags(cpu: Path) -> set[str]:
    """Of an x86 processor; empty for any other, and where the system does not tell."""
    try:
        found = re.search(r"^flags\s*:(.*)$", cpu.read_text(), re.M)
    except OSError:
        return set()
    return set(found[1].split()) if found else set()
