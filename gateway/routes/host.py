"""Whether a request was meant for this machine: guards the keyless default against pages that rebind their name."""

_LOCAL = frozenset((b"localhost", b"127.0.0.1", b"[::1]"))


def is_local(host: bytes | None) -> bool:
    """A Host header that names loopback, whatever the port. A request without one did not come from a browser."""
    if host is None:
        return True
    name = host if host.endswith(b"]") else host.rpartition(b":")[0] or host
    return name.lower() in _LOCAL
