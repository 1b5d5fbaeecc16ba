"""Mneme's gateway: an OpenAI-compatible proxy that remembers. Start reading at turn.py."""

import os

# Before numpy is loaded: what is multiplied here is small, and threads that wait for each other made it 8 times slower.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

__version__ = "0.1.0"
