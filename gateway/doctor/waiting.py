"""What waits in a journal, judged: the same for both journals. Pure."""

from gateway.doctor.finding import Finding

_LONG = 60.0


def waiting(pending: int, dead: int, oldest: float) -> Finding:
    """`oldest` is for how many seconds a turn has waited while somebody should index it."""
    told = f"{pending} turns wait" + (f", the oldest for {oldest:.0f} s" if pending and oldest else "")
    if oldest > _LONG:
        advice = "Start a writer, or more of them; their logs and /metrics say what they wait for."
        return Finding("journal", "warn", f"{told}; {dead} dead letters", advice)
    if dead:
        advice = "GET /admin/journal/dead says why; POST /admin/journal/replay tries them again."
        return Finding("journal", "warn", f"{told}; {dead} dead letters", advice)
    return Finding("journal", "ok", told)
