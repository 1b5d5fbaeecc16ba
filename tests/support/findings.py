"""What a doctor found, by name. Knows no check."""

from collections.abc import Sequence

from gateway.doctor.finding import Finding


def told(findings: Sequence[Finding], name: str) -> str:
    """How it is, what was found and what to do, in one line; every name stands there once."""
    (found,) = [finding for finding in findings if finding.name == name]
    return f"{found.state}: {found.found} → {found.advice}"


def states(findings: Sequence[Finding]) -> set[str]:
    """All that there are."""
    return {finding.state for finding in findings}
