"""A progress bar on stderr, on a terminal only, so that a log stays readable. Never knows what takes the time."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def bar(total: int, name: str) -> Iterator[Callable[[str], None]]:
    """A bar over `total` steps; calling what is yielded makes one step and shows what it is about."""
    with tqdm(total=total, desc=name, file=sys.stderr, disable=None, unit="") as shown:

        def step(now: str) -> None:
            shown.set_postfix_str(now)
            shown.update()

        yield step
