"""Whatever is sent to a gateway, and whatever its worker says: no 5xx of ours, nothing broken afterwards."""

from tests.prove.fuzz.found import Fuzzed
from tests.prove.fuzz.run import fuzz

__all__ = ["Fuzzed", "fuzz"]
