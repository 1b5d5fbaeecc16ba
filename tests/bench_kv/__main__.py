"""`python -m tests.bench_kv`: train the model unless it is there, measure, print tables, draw plots. Puts the parts
in a row; measures nothing itself."""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.bench_kv import cases, report
from tests.bench_kv.model import tasks
from tests.vllm.quiet import ENVIRONMENT


def main() -> int:
    """Parse, measure, print; everything measured goes to RESULTS.json beside the model."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench_kv", description=__doc__)
    parser.add_argument("--model", type=Path, default=Path(".bench-kv/model"), help="trained there if it is not")
    parser.add_argument("--minutes", type=float, default=25, help="at most so long for the training")
    parser.add_argument("--parts", nargs="+", default=["streams", "passkeys", "speed"], help="what to measure")
    parser.add_argument("--plots", type=Path, default=Path("docs/kv"), help="where the plots go")
    parser.add_argument("--longest", type=int, default=65_536, help="context of the speed part, in tokens")
    parser.add_argument("--quick", action="store_true", help="a tenth of the lengths: does it run at all?")
    asked = parser.parse_args()
    os.environ.update(ENVIRONMENT, **{"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")})
    if not (asked.model / "model.safetensors").exists():
        _run("tests.bench_kv.model", str(asked.model), "--minutes", str(asked.minutes))
    results: dict[str, Any] = {}
    for part in asked.parts:
        began = time.monotonic()
        results[part] = {"streams": _streams, "passkeys": _passkeys, "speed": _speed}[part](asked)
        print(f"({part}: {time.monotonic() - began:.0f} s)\n", flush=True)
    (asked.model.parent / "RESULTS.json").write_text(json.dumps(results, indent=1))
    return 0


def _streams(asked: argparse.Namespace) -> Any:
    from tests.bench_kv import perplexity

    times = 10 if asked.quick else perplexity.TIMES
    tokens = _held_out(asked.model)[: times * cases.TRAINED + 1]
    reference = perplexity.in_window(asked.model, tokens)
    found = {}
    for case in (*cases.STREAMS, cases.duo("duo", _heads(asked.model, 0.42), 256)):
        read = tokens[: 16 * cases.TRAINED + 1] if case.policy in {"full", "duo"} else tokens
        found[case.name] = perplexity.surprise(case, asked.model, read)
        print(f"  {case.name}: {len(read):,} tokens", flush=True)
    ends = [end for end in (cases.TRAINED, 16 * cases.TRAINED, times * cases.TRAINED) if end <= len(tokens)]
    rows = [["full, fresh windows of 512", *_ends(reference, ends)]]
    rows += [[name, *_ends(surprises, ends)] for name, surprises in found.items()]
    print(report.table(["perplexity of tokens", *(f"to {end:,}" for end in ends)], rows))
    whole = perplexity.perplexity(reference, 0, len(reference))
    report.plot_streams(found, whole, cases.TRAINED, asked.plots / "perplexity.png")
    return {"ends": ends, "reference": whole, "rows": rows}


def _ends(surprises: list[float], ends: list[int]) -> list[str]:
    from tests.bench_kv.perplexity import perplexity

    starts = [0, *ends[:-1]]
    return [
        f"{perplexity(surprises, start, end):,.2f}" if len(surprises) >= end - 1 else "–"
        for start, end in zip(starts, ends, strict=True)
    ]


def _passkeys(asked: argparse.Namespace) -> Any:
    from tests.bench_kv import passkeys

    filler = _held_out(asked.model)[1:]
    told = []
    each = 2 if asked.quick else 16
    heads = _heads(asked.model, 0.42)
    for length, family in (
        (cases.SHORT, (*cases.WITHIN, cases.duo("duo", heads, 32))),
        (cases.LONG, cases.BEYOND),
    ):
        prompts = passkeys.prompts(asked.model, filler, length, each)
        found = [passkeys.ask(case, asked.model, prompts, length) for case in family]
        rows = [
            [one.name, *(f"{share:.0%}" for share in one.by_depth), f"{one.whole:.1%}", f"{one.kv / found[0].kv:.0%}"]
            for one in found
        ]
        depths = [f"{(at + 0.5) / passkeys.DEPTHS:.2f}" for at in range(passkeys.DEPTHS)]
        print(report.table([f"{length:,} tokens; depth", *depths, "all", "KV"], rows), "\n", flush=True)
        name = "within" if length == cases.SHORT else "beyond"
        title = f"pass keys in {length:,} tokens"
        report.plot_passkeys({one.name: one.by_depth for one in found}, title, asked.plots / f"passkeys-{name}.png")
        told.append({"length": length, "rows": rows})
    return told


def _speed(asked: argparse.Namespace) -> Any:
    from tests.bench_kv import speed

    folder = speed.model(asked.model.parent / "speed")
    wanted = (4096,) if asked.quick else (4096, 8192, 16_384, 32_768, 65_536)
    contexts = [context for context in wanted if context <= asked.longest]
    costs: dict[str, list[Any]] = {"full": [], "sink_window": []}
    for context in contexts:
        for case in (speed.FULL, speed.SINK_WINDOW):
            costs[case.name].append(speed.one(case, folder, context))
            print(f"  {case.name} at {context:,}", flush=True)
    again = speed.recomputed(folder)
    rows = []
    for full, kept in zip(costs["full"], costs["sink_window"], strict=True):
        rows.append(
            [
                f"{full.context:,}",
                f"{full.decode_ms:.1f}",
                f"{kept.decode_ms:.1f}",
                f"{full.decode_ms / kept.decode_ms:.1f} ×",
                f"{again.decode_ms / kept.decode_ms:.1f} ×",
                f"{full.prefill_s:.1f}",
                f"{kept.prefill_s:.1f}",
                f"{full.blocks * speed.BLOCK_BYTES / 2**20:.1f}",
                f"{kept.blocks * speed.BLOCK_BYTES / 2**20:.1f}",
                f"{2**30 // (full.blocks * speed.BLOCK_BYTES):,}",
                f"{2**30 // (kept.blocks * speed.BLOCK_BYTES):,}",
            ]
        )
    head = [
        "context",
        "decode, full, CPU ms",
        "sink_window, ms",
        "full over it",
        "recomputation over it",
        "prefill, full, CPU s",
    ]
    head += ["sink_window, s", "KV, full, MiB", "sink_window, MiB", "sessions per GiB, full", "sink_window"]
    print(report.table(head, rows), "\n")
    report.plot_costs(costs, asked.plots / "decode.png")
    many = {case.name: speed.together(case, folder, 4096, 16, 512) for case in (speed.FULL, speed.SINK_WINDOW)}
    crowd = [[name, f"{most}", f"{rate:.0f}"] for name, (rate, most) in many.items()]
    print(report.table(["16 requests of 4,096 tokens, pool of 512 blocks", "at once", "tokens/s"], crowd))
    return {"costs": rows, "recompute_ms": again.decode_ms, "together": crowd}


def _held_out(model: Path) -> list[int]:
    from transformers import AutoTokenizer

    tokens: list[int] = AutoTokenizer.from_pretrained(model).encode((model / "held_out.txt").read_text())
    return tokens


def _heads(model: Path, share: float) -> Path:
    """What `calibrate` finds for this model, kept beside it."""
    path = model.parent / f"heads-{share}.json"
    if not path.exists():
        _run(
            *("workers", "calibrate", str(model), "--out", str(path), "--share", str(share), "--sink", "32"),
            *("--window", "32", "--length", str(cases.TRAINED), "--prompts", "24"),
            *("--text", str(model / "held_out.txt"), "--needle", tasks.NEEDLE, "--question", tasks.ASKED),
        )
    return path


def _run(*module: str) -> None:
    subprocess.run([sys.executable, "-m", *module], check=True)


if __name__ == "__main__":
    sys.exit(main())
