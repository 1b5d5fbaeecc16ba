"""`python -m tests.bench_kv.model DIR`: make the benchmark's model in minutes, from what lies on this machine. It puts
the parts in a row; it must never know how any of them works."""

import argparse
import sys
import time
from pathlib import Path

from tests.bench_kv.model import network, tokenizer
from tests.bench_kv.model.corpus import gathered
from tests.bench_kv.model.lessons import Lessons
from tests.bench_kv.model.train import STEPS, trained

_SEED = 2


def main() -> int:
    """Parse, train, write."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench_kv.model", description=__doc__)
    parser.add_argument(
        "folder", type=Path, help="where the weights, their configuration, the tokenizer and held_out.txt go"
    )
    parser.add_argument("--minutes", type=float, default=25, help="at most this long (default %(default)s)")
    options = parser.parse_args()
    began = time.monotonic()
    found = gathered()
    documents = found.train
    words = tokenizer.trained(documents)
    text = tokenizer.run(words, documents)
    print(f"{len(documents)} documents, {len(text):,} tokens, {time.monotonic() - began:.0f} s", flush=True)
    bos, eos, pad = map(tokenizer.SPECIAL.index, (tokenizer.BOS, tokenizer.EOS, tokenizer.PAD))  # they come first
    lessons = Lessons(text, lambda said: words.encode(said, add_special_tokens=False).ids, bos, _SEED)
    shape = network.Shape(tokenizer.VOCABULARY)
    left = options.minutes - (time.monotonic() - began) / 60
    weights = trained(lessons, shape, STEPS, left, _SEED, lambda said: print(said, flush=True))
    options.folder.mkdir(parents=True, exist_ok=True)
    network.save(weights, shape, options.folder, bos, eos, pad)
    tokenizer.save(words, options.folder, shape.context)
    (options.folder / "held_out.txt").write_text("".join(found.held_out))
    print(f"{options.folder}: {sum(t.numel() for t in weights.values()):,} weights, {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
