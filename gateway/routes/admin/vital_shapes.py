"""The shapes of /admin/vitals. No logic."""

from gateway.pulse import Beat, Buckets
from gateway.routes.admin.models import Shape


class Beats(Shape):
    """Of the process that answers, which `process` tells from others: beats at most an hour old, one `every` so many
    seconds, and a histogram for every verb."""

    process: str
    every: float
    beats: list[Beat]
    histograms: dict[str, Buckets]
