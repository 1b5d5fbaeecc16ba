"""A progress bar on stderr. The only file that needs tqdm, which is not among what a gateway needs to run."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gateway.errors import MnemeError


class BarMissing(MnemeError):
    """tqdm is not installed; the message says what to do."""


@contextmanager
def bar(total: int, name: str) -> Iterator[Callable[[str], None]]:
    """A bar over `total` steps; calling what is yielded makes one step and shows what it is about."""
    try:
        from tqdm import tqdm
    except ImportError:
        raise BarMissing("The progress bar needs tqdm: pip install tqdm") from None
    # On a terminal only, so that a log stays readable.
    with tqdm(total=total, desc=name, file=sys.stderr, disable=None, unit="") as shown:

        def step(now: str) -> None:
            shown.set_postfix_str(now)
            shown.update()

        yield step
