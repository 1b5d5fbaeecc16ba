"""What became of a request, as the answer's headers tell it."""

from gateway.ask import Tale


def test_the_tale_is_told_in_headers() -> None:
    """Mode, count, tokens, the sum of the milliseconds, and the trace."""
    tale = Tale("abc", "on", count=2, tokens=30, millis={"admit": 0.25, "recall": 1.5})

    assert tale.headers() == [
        (b"x-mneme-mode", b"on"),
        (b"x-mneme-count", b"2"),
        (b"x-mneme-tokens", b"30"),
        (b"x-mneme-ms", b"1.75"),
        (b"x-mneme-trace", b"abc"),
    ]


def test_what_was_skipped_is_named_once() -> None:
    """In order; a reason that is empty is none."""
    tale = Tale("abc", "on")
    for reason in ("no-user", "", "recall-deadline", "no-user"):
        tale.skip(reason)

    assert tale.headers()[-1] == (b"x-mneme-skipped", b"no-user,recall-deadline")
