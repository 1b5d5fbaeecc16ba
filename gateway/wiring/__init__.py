"""The only room that picks adapters: by settings, from tables. Knows no request."""

from gateway.wiring.gateway import open_services
from gateway.wiring.reembed import drop_index, reembed
from gateway.wiring.thinking import open_judge
from gateway.wiring.writer import check_shared, open_writer

__all__ = ["check_shared", "drop_index", "open_judge", "open_services", "open_writer", "reembed"]
