"""The table of embedders: name → "module:Class". Only wiring chooses among them."""

TABLE = {
    "minilm": "gateway.memory.embedders.minilm:MiniLM",
    "http": "gateway.memory.embedders.http:HttpEmbedder",
}
