"""/admin/ui: a page over the admin API, for people who look rather than read. It knows nothing but that API.

Whatever a page shows it has asked /admin for, inside this process and with the key of whoever looks: roles, limits and
the audit log are the API's, and no page can show what the API would not tell.
"""

import asyncio
from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import Mount, Route

from gateway.pages.api import Asgi
from gateway.pages.cookie import Pass
from gateway.pages.door import Door, Still
from gateway.pages.views import VIEWS

_STATIC = Path(__file__).parent / "static"


def open_pages(desk: Asgi, key: str, closing: asyncio.Event) -> Starlette:
    """The pages over `desk`, which answers /admin. `key` (32 bytes, base64url) seals the cookie; once `closing` is set,
    nothing is streamed any more."""
    door = Door(desk, Pass(key), closing)
    views = [Route(path, door.opens(view), methods=[method]) for (method, path), view in VIEWS.items()]
    return Starlette(routes=[*views, Mount("/static", Still(directory=_STATIC))])
