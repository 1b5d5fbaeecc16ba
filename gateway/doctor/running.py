"""A gateway that runs, asked how its parts are. Knows only what /health/ready says."""

import httpx

from gateway.doctor.finding import Finding, State, shown

_SECONDS = 5.0


async def look(url: str, *, expected: bool) -> list[Finding]:
    """At a base URL without a path. `expected`: one was asked for, so none is a failure."""
    try:
        async with httpx.AsyncClient(timeout=_SECONDS, trust_env=False) as client:
            answer = await client.get(f"{url.rstrip('/')}/health/ready")
            told = answer.json()
            status, parts = str(told["status"]), dict(told["parts"])
    except (httpx.HTTPError, httpx.InvalidURL) as away:
        none = f"nobody answers at {shown(url)} ({type(away).__name__})"
        if expected:
            return [Finding("gateway", "fail", none, "Start it, or mend --url.")]
        return [Finding("gateway", "skipped", none)]
    except (ValueError, KeyError, TypeError):
        advice = "Another program has the port: set another MNEME_PORT."
        return [Finding("gateway", "fail", f"what answers at {shown(url)} is no gateway of Mneme", advice)]
    failing = [name for name, state in parts.items() if state != "ok"]
    if failing:
        advice = "Its log says why; the findings above, what to do."
        state: State = "warn" if status == "degraded" else "fail"
        return [Finding("gateway", state, f"{shown(url)} is {status}: {', '.join(failing)}", advice)]
    return [Finding("gateway", "ok", f"{shown(url)} is {status}: {', '.join(parts)}")]
