"""Who looks at a page: what their browser asked for, what the API lets them, and how they are answered."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from gateway.errors import MnemeError
from gateway.pages import cookie, look
from gateway.pages.api import Api
from gateway.pages.cookie import Pass

_RANK = {"read": 0, "write": 1, "operator": 2}


@dataclass(slots=True)
class Visitor:
    """One request of a browser. `me` is what the API says of its key: who, role, and the tenant and user that need not
    be named; `form` the fields of what was sent."""

    request: Request
    api: Api
    passes: Pass
    cookie: str
    closing: asyncio.Event
    me: Mapping[str, Any] = field(default_factory=dict)
    form: list[tuple[str, str]] = field(default_factory=list)

    @property
    def tenant(self) -> str:
        """Whose users are looked at, "" while nobody has said."""
        return self.asked("tenant") or str(self.me.get("tenant", ""))

    @property
    def user(self) -> str:
        """Whose memory is looked at, "" while nobody has said."""
        return self.asked("user") or (str(self.me.get("user", "")) if not self.asked("tenant") else "")

    @property
    def whose(self) -> dict[str, str]:
        """Both, as every call of the API takes them."""
        return {"tenant": self.tenant, "user": self.user}

    @property
    def partial(self) -> bool:
        """Whether a part of the page is asked for, in place of what stands there."""
        return "hx-request" in self.request.headers and "hx-history-restore-request" not in self.request.headers

    def can(self, role: str) -> bool:
        """Whether their role allows what this role may."""
        return _RANK.get(str(self.me.get("role", "")), -1) >= _RANK[role]

    def asked(self, name: str) -> str:
        """A value of the query, "" where it is not there."""
        return self.request.query_params.get(name, "").strip()

    def sent(self, name: str) -> str:
        """A field of the form, "" where it is not there."""
        return dict(self.form).get(name, "")

    def url(self, path: str, **query: Any) -> str:
        """The address of a page about the same tenant and user."""
        named = {**self.whose, **query}
        told = urlencode({name.rstrip("_"): value for name, value in named.items() if value not in (None, "")})
        return f"{cookie.PATH}{path}" + (f"?{told}" if told else "")

    def page(self, template: str, status: int = 200, **context: Any) -> Response:
        """A template, filled in."""
        response = HTMLResponse(self.fill(template, **context), status_code=status)
        if self.request.cookies.get(cookie.NAME) != self.cookie:
            self.carry(response, self.cookie)
        return response

    def fill(self, template: str, **context: Any) -> str:
        """The text of it."""
        return look.render(template, visitor=self, word=self.passes.word(self.cookie), **context)

    def carry(self, response: Response, value: str) -> None:
        """Have the browser carry this."""
        headers = self.request.headers
        secure = self.request.url.scheme == "https" or headers.get("x-forwarded-proto") == "https"
        response.set_cookie(cookie.NAME, value, path=cookie.PATH, secure=secure, httponly=True, samesite="strict")

    def moved(self, url: str) -> Response:
        """Have the browser go somewhere else."""
        if self.partial:
            return Response(status_code=204, headers={"hx-redirect": url})
        return Response(status_code=303, headers={"location": url})

    def refused(self, error: MnemeError) -> Response:
        """What went wrong, as a page or as a notice on the one that is there."""
        template = "parts/notice.html" if self.partial else "refused.html"
        return self.page(template, error.status, code=error.status, message=error.message)
