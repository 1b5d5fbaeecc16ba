"""The table of embedders: name → "module:Class". A new embedder is one file here and one line below."""

import os

# ONNX Runtime's wheels report to their maker unless told not to before they are loaded; a memory keeps to itself.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

TABLE = {
    "minilm": "gateway.memory.embedders.minilm:MiniLM",
    "http": "gateway.memory.embedders.http:HttpEmbedder",
}
