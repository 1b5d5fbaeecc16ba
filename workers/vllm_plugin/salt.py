"""Keeps apart in vLLM's prefix cache what was computed under different policies: what a block holds depends on what its
tokens could see. Touches nothing but the salt."""

from copy import copy
from typing import Any

from vllm.exceptions import VLLMValidationError
from vllm.v1.request import Request

from workers.kv.choice import Choice
from workers.kv.errors import PolicyRefused
from workers.vllm_plugin.ledger import LEDGER
from workers.vllm_plugin.requests import choice_of

_BETWEEN = "\x1f"
"""Stands in no choice's key, so that what follows the last one is the key, whatever a client chose as its own salt."""


def salted(salt: str | None, choice: Choice, own: Choice) -> str | None:
    """A request's salt under its choice. Two results are equal exactly if both salts and both choices are; vLLM takes
    no empty salt."""
    if choice == own and _BETWEEN not in (salt or ""):
        return salt
    return f"{salt or ''}{_BETWEEN}{choice.key}"


def unsalted(salt: str | None) -> str | None:
    """The salt that the client chose, out of a request's."""
    return salt.rpartition(_BETWEEN)[0] if salt and _BETWEEN in salt else salt


def install() -> None:
    """Salt every request by its choice when it reaches the engine. Idempotent."""
    if hasattr(Request.from_engine_core_request, "_mneme"):
        return
    stock = Request.from_engine_core_request.__func__

    def from_engine_core_request(cls: type[Request], request: Any, block_hasher: Any) -> Request:
        found: Request = stock(cls, _under_its_choice(request), block_hasher)
        return found

    from_engine_core_request._mneme = True  # type: ignore[attr-defined]
    Request.from_engine_core_request = classmethod(from_engine_core_request)


def _under_its_choice(request: Any) -> Any:
    """The request with its salt; VLLMValidationError for a choice that cannot be, before the scheduler sees it."""
    own = LEDGER.choice
    if own is None or request.sampling_params is None:
        return request
    try:
        choice = choice_of(request.sampling_params, own)
    except PolicyRefused as refused:
        raise VLLMValidationError(str(refused)) from None
    salt = salted(request.cache_salt, choice, own)
    if salt == request.cache_salt:
        return request
    request = copy(request)
    request.cache_salt = salt
    return request
