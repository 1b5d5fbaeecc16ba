"""Every way the gateway can fail, each with its HTTP status and OpenAI error type. Knows nothing of who raises it.

MnemeError
├── CallerError                 the caller's fault, 4xx
│   ├── BadRequest              400  the request cannot be understood
│   │   └── NotSpliceable       400  the body is the worker's to judge, and memory steps aside: shown only for an alias
│   ├── NotAuthenticated        401  no key, or one that nobody issued
│   ├── NotAllowed              403  a known caller asks for what is not theirs
│   ├── NotFound                404
│   │   └── ModelNotFound       404  a name of MNEME_WORKERS that no worker can answer for as it says
│   ├── Conflict                409  it does not fit what this installation is, or holds
│   ├── StaleEdit               412  the ETag is no longer the current version
│   ├── UnguardedEdit           428  an edit that does not say which version it edits
│   ├── BodyTooLarge            413  more body bytes than a call may have
│   ├── RateLimited             429  more per minute than a key or its tenant may
│   ├── HeadersTooLarge         431
│   └── BodyTimeout             408  the request stopped arriving
├── UpstreamError               the worker's fault, 5xx
│   ├── UpstreamUnreachable     502  connecting failed
│   ├── UpstreamBroke           502  the connection died before an answer
│   └── UpstreamTimeout         504  no first byte, or silence between bytes, for too long
├── KeysUnavailable             503  whether a key was issued cannot be known now, so nobody is let in by it
├── MemoryUnavailable           503  a memory part failed; shown by the admin API and to who gives feedback
│   ├── DataDirectoryRefused    503  corrupt, foreign, or stamped by another embedder; says how to mend it
│   ├── StoreRefused            503  a server whose settings would lose what it is told; names them
│   └── StoreAway               503  a server that does not answer for now: asking again may help
├── NoModel                     503  reflection wants to ask a model, and none is configured; seen in its records only
├── ModelAway                   503  the model that reflection asks does not answer for now
├── BudgetSpent                 503  reflection has asked a model for as much as its tenant may today
├── Unusable                    502  a model answered reflection what cannot be used
├── Turned                      …    /admin turned a page down: status and words are its own
├── BackupFailed                500  shown by the command line only: no backup was made, or none taken in
└── SettingsRefused             500  settings contradict each other; raised before anything starts
"""

import math
from collections.abc import Sequence
from typing import Any

Headers = list[tuple[bytes, bytes]]


class MnemeError(Exception):
    """The root. `message` is shown to the caller, so it never holds a secret or another user's text."""

    status = 500
    type = "server_error"
    code: str | None = None

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.headers: Headers = []

    def body(self) -> dict[str, Any]:
        """The OpenAI error object: {"error": {"message", "type", "param", "code"}}."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


class CallerError(MnemeError):
    """The caller can mend it."""

    status = 400
    type = "invalid_request_error"


class BadRequest(CallerError):
    """The request cannot be understood."""


class NotSpliceable(BadRequest):
    """The body cannot be rewritten safely (not JSON, no messages, …): it passes verbatim and memory steps aside."""


class NotAuthenticated(CallerError):
    """No key, or a key that nobody issued."""

    status = 401
    code = "invalid_api_key"


class NotAllowed(CallerError):
    """A known caller asks for what is not theirs."""

    status = 403
    type = "permission_error"


class NotFound(CallerError):
    """No such thing in the caller's scope."""

    status = 404


class ModelNotFound(NotFound):
    """The model is an alias for what no worker offers. Never answered with another policy instead."""

    code = "model_not_found"


class Conflict(CallerError):
    """What is asked does not fit what this installation is, or holds. The message says what would."""

    status = 409


class StaleEdit(CallerError):
    """The caller edited a version that is no longer current."""

    status = 412
    code = "stale_edit"


class UnguardedEdit(CallerError):
    """An edit must say which version it edits, so that nobody's change is lost."""

    status = 428
    code = "if_match_required"


class BodyTooLarge(CallerError):
    """More body bytes than a call may have."""

    status = 413


class RateLimited(CallerError):
    """More per minute than may be. `kind` is requests or tokens, as OpenAI types it; `wait` is seconds until it would
    fit, `told` the headers that say how much there is."""

    status = 429
    code = "rate_limit_exceeded"

    def __init__(self, message: str, kind: str, wait: float, told: Sequence[tuple[bytes, bytes]]) -> None:
        super().__init__(message)
        self.type = kind
        self.headers = [(b"retry-after", b"%d" % math.ceil(wait)), *told]


class HeadersTooLarge(CallerError):
    """More header bytes than the gateway reads."""

    status = 431


class BodyTimeout(CallerError):
    """The request stopped arriving before it was whole."""

    status = 408


class UpstreamError(MnemeError):
    """The worker did not answer."""

    status = 502
    type = "upstream_error"


class UpstreamUnreachable(UpstreamError):
    """No connection: nothing was sent, so asking again is safe."""

    code = "upstream_unreachable"


class UpstreamBroke(UpstreamError):
    """The connection died after the request was sent and before the answer was whole."""

    code = "upstream_broke"


class UpstreamTimeout(UpstreamError):
    """No first byte, or silence between two bytes, for longer than allowed."""

    status = 504
    code = "upstream_timeout"


class KeysUnavailable(MnemeError):
    """The registry of keys does not answer. Keys of MNEME_KEYS and MNEME_ADMIN_KEY need none and go on."""

    status = 503
    code = "keys_unavailable"


class MemoryUnavailable(MnemeError):
    """A memory part failed. The answer goes on without it; who works on memory itself is shown this error."""

    status = 503
    type = "memory_error"
    code = "memory_unavailable"


class DataDirectoryRefused(MemoryUnavailable):
    """The data directory is corrupt, foreign, or stamped by another embedder. The message says how to mend it."""

    code = "data_directory_refused"


class StoreRefused(MemoryUnavailable):
    """The server that stores run on would lose what it is told. The message names the settings to change."""

    code = "store_refused"


class StoreAway(MemoryUnavailable):
    """The server that stores run on does not answer for now. What was asked may or may not have happened."""

    code = "store_away"


class NoModel(MnemeError):
    """Reflection wanted to ask a model, and none is configured."""

    status = 503
    code = "no_model"


class ModelAway(MnemeError):
    """The model that reflection asks does not answer for now."""

    status = 503
    code = "model_away"


class BudgetSpent(MnemeError):
    """Reflection has asked as much of a model today as this tenant may."""

    status = 503
    code = "budget_spent"


class Unusable(MnemeError):
    """What the model answered cannot be used, nor what it answered when it was told why."""

    status = 502
    code = "unusable_answer"


class Turned(MnemeError):
    """/admin did not do what a page asked of it; `status` and `message` are its answer's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class BackupFailed(MnemeError):
    """A backup was not made, or not taken in. Shown by the command line only."""


class SettingsRefused(MnemeError):
    """Settings contradict each other."""
