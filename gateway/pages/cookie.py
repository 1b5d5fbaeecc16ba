"""What a browser carries: an admin key under seal, for half a day. Knows no request.

The cookie cannot be read by a script, is not sent from other sites, and opens nothing but the pages; the key in it is
encrypted, so that a copy of the cookie is no copy of the key. A revoked key ends it at once, for the key is looked up
anew each time.
"""

import hashlib
import hmac
from dataclasses import dataclass

from cryptography.fernet import Fernet, InvalidToken

NAME = "mneme-page"
PATH = "/admin/ui"
_HALF_A_DAY = 12 * 3600


@dataclass(frozen=True, slots=True, repr=False)
class Pass:
    """Seals keys into cookies, and says by which word a form proves that it came from us."""

    key: str

    def seal(self, admin_key: str) -> str:
        """The cookie's value; each one differs. "" is for who needs no key."""
        return Fernet(self.key).encrypt(admin_key.encode()).decode()

    def open(self, cookie: str | None) -> str | None:
        """The key in a cookie; None where there is none, it is not ours, or half a day is over."""
        try:
            return Fernet(self.key).decrypt(cookie or "", ttl=_HALF_A_DAY).decode()
        except InvalidToken:
            return None

    def word(self, cookie: str) -> str:
        """What every form of this browser must send along; nobody else can know it."""
        return hmac.new(self.key.encode(), b"form\0" + cookie.encode(), hashlib.sha256).hexdigest()

    def proves(self, word: str, cookie: str) -> bool:
        """Whether it is that word."""
        return hmac.compare_digest(word.encode(), self.word(cookie).encode())
