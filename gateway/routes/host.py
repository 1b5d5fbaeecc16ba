"""Whether a request was meant for this machine: guards the keyless default against pages that rebind their name."""

from ipaddress import ip_address


def is_local(host: bytes | None) -> bool:
    """A Host header that names loopback, whatever the port. A request without one did not come from a browser."""
    if host is None:
        return True
    text = host.decode("latin-1").lower()
    name = text if text.endswith("]") else text.rpartition(":")[0] or text
    if name == "localhost":
        return True
    try:
        return ip_address(name.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False
