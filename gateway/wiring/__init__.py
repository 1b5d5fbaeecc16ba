"""The only room that picks adapters: by settings, from tables. Knows no request."""

from gateway.wiring.gateway import open_services
from gateway.wiring.writer import check_shared, open_writer

__all__ = ["check_shared", "open_services", "open_writer"]
