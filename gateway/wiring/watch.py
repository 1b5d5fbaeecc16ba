"""What watches the rest: counters, and spans where a collector is named. Knows nothing of what is watched."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module

from gateway.settings import Settings
from gateway.telemetry import Telemetry
from gateway.tracing import UNTRACED, Tracer

# Imported only where a collector is named: OpenTelemetry's SDK takes a while to load.
_OTLP = "gateway.otlp"


@asynccontextmanager
async def open_telemetry(settings: Settings) -> AsyncIterator[Telemetry]:
    """Opened first and closed last, so that nothing is done that nobody sees."""
    async with AsyncExitStack() as stack:
        tracer: Tracer = UNTRACED
        if settings.otlp_endpoint:
            opening = import_module(_OTLP).open_otlp(settings.otlp_endpoint, settings.otlp_content)
            tracer = await stack.enter_async_context(opening)
        yield Telemetry(tracer)
