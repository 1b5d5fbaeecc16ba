"""What beats come to as charts, tiles and times. No gateway."""

from typing import Any

from gateway.pages.views.beats import charts, tiles, took

_LATE = {"p50": 1.0, "p95": 2.0, "p99": 4.0}


def beat(at: float, **changed: Any) -> dict[str, Any]:
    """One with numbers that follow from its moment."""
    return {
        "at": at,
        "pending": 2,
        "dead": 0,
        "oldest": 0.5,
        "due": 5,
        "rss": 310_000_000,
        "answers": int(at),
        "errors": 0,
        "broke": 0,
        "recalls": {"hit": int(at), "silent": 0, "skipped": 0},
        "injected": 0,
        "prompt": int(10 * at),
        "cached": int(5 * at),
        "turns": int(at),
        "indexed": int(at),
        "loop": _LATE,
        "verbs": {"relay": _LATE},
        **changed,
    }


def lines(beats: list[dict[str, Any]], chart: str) -> dict[str, tuple[float | None, ...]]:
    """A chart's lines by their labels."""
    return dict(next(each for each in charts(beats) if each.id == chart).lines)


def test_every_line_has_a_value_for_every_moment() -> None:
    """However many beats there are, and for verbs that were seen once."""
    for count in (0, 1, 2, 720):
        drawn = charts([beat(5.0 * n, verbs={"admit": _LATE} if n == 1 else {}) for n in range(count)])

        assert {len(values) for chart in drawn for _, values in chart.lines} <= {len(drawn[0].x)}
        assert len(drawn[0].x) <= 121


def test_what_is_counted_is_drawn_by_its_pace() -> None:
    """A second, or a minute, from the last beat of a half minute to that of the next; the first has none before it."""
    beats = [beat(float(at)) for at in range(0, 120, 5)]

    assert lines(beats, "answers")["answers"] == (None, 1.0, 1.0, 1.0)
    assert lines(beats, "recalls")["hit"] == (None, 60.0, 60.0, 60.0)
    assert lines(beats, "tokens")["cached"] == (None, 5.0, 5.0, 5.0)


def test_a_peak_between_two_points_is_drawn() -> None:
    """How late the loop was, how old a turn got, how long a verb took: the worst of each half minute."""
    slow = {"p50": 9.0, "p95": 99.0, "p99": 999.0}
    beats = [beat(0.0), beat(5.0, loop=slow, verbs={"relay": slow}, oldest=7.0), beat(10.0)]

    assert lines(beats, "loop")["p99"] == (999.0,)
    assert lines(beats, "took")["relay"] == (99.0,)
    assert lines(beats, "oldest")["oldest"] == (7.0,)


def test_what_nobody_knows_is_no_number() -> None:
    """A journal that does not answer is not an empty one; 0 is a number."""
    blind = beat(60.0, pending=None, dead=None, oldest=None, due=None, rss=None, loop=None)
    drawn = {chart.id: chart for chart in charts([beat(0.0, oldest=0.0), blind])}
    told = {tile.label: tile for tile in tiles([blind])}

    assert dict(drawn["lag"].lines)["to be indexed"] == (2.0, None)
    assert dict(drawn["oldest"].lines)["oldest"] == (0.0, None)
    assert drawn["oldest"].said == "oldest unknown (at most 0 s)"
    assert (told["Turns to be indexed"].value, told["Dead letters"].value, told["RAM"].value) == ("–", "–", "–")
    assert not told["Dead letters"].bad


def test_a_chart_is_told_in_words() -> None:
    """Each line's value now, and the most there was."""
    (chart,) = [each for each in charts([beat(0.0, pending=40), beat(60.0)]) if each.id == "lag"]

    assert chart.said == "to be indexed 2 (at most 40); thoughts due 5 (at most 5)"


def test_tiles_count_from_the_first_beat_on() -> None:
    """Shares are of what came in since; of nothing there is none."""
    early = beat(100.0, recalls={"hit": 10, "silent": 0, "skipped": 0})
    late = beat(200.0, recalls={"hit": 13, "silent": 1, "skipped": 0}, errors=2, dead=1)
    told = {tile.label: tile for tile in tiles([early, late])}

    assert (told["Recalls that hit"].value, told["Recalls that hit"].more) == ("75 %", "25 % silent, 0 % skipped")
    assert (told["Prompt tokens cached"].value, told["Prompt tokens cached"].more) == ("50 %", "500 of 1\u202f000")
    assert (told["Answers"].value, told["Answers"].bad, told["Dead letters"].bad) == ("100", True, True)
    assert {tile.label: tile for tile in tiles([early])}["Recalls that hit"].value == "–"
    assert tiles([]) == []


def test_times_are_told_by_the_bucket_in_which_they_ended() -> None:
    """In the story's order; beyond the last edge it is only known that it was more."""
    relay = {"edges": [1.0, 2000.0], "counts": [50, 45, 5]}
    told = took({"reflect": {"edges": [1.0], "counts": [0, 0]}, "relay": relay, "admit": relay})

    assert [each.verb for each in told] == ["admit", "relay", "reflect"]
    assert (told[1].count, told[1].within) == (100, ("up to 1 ms", "up to 2.0 s", "over 2.0 s"))
    assert told[1].bars == (("up to 1 ms", 50, 1.0), ("up to 2.0 s", 45, 0.9), ("over 2.0 s", 5, 0.1))
    assert told[2].within == ("–", "–", "–")
