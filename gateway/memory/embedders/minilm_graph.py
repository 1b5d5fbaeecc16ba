"""all-MiniLM-L6-v2 as an ONNX graph, built from its weights. Pure; knows no file.

A BERT of 6 layers, hidden size 384, 12 heads; then the mean over the tokens that count, scaled to unit length.
Source of the architecture: Devlin et al. 2019; of the pooling: Reimers and Gurevych 2019.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

LAYERS, HIDDEN, HEADS = 6, 384, 12
_EPSILON = 1e-12
_OPSET = 20
_MASKED = -1e9
Weights = Mapping[str, "np.ndarray[Any, np.dtype[np.float32]]"]


class _Graph:
    """Nodes and constants as they are added; every method returns the name of its output."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        output = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, value: Any, kind: Any) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants[name] = numpy_helper.from_array(np.asarray(value, kind), name)
        return name

    def weight(self, name: str, *, transposed: bool = False) -> str:
        if name not in self.constants:
            array = self._weights[name].T if transposed else self._weights[name]
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(array, np.float32), name)
        return name

    def linear(self, x: str, name: str) -> str:
        product = self.op("MatMul", x, self.weight(f"{name}.weight", transposed=True))
        return self.op("Add", product, self.weight(f"{name}.bias"))

    def norm(self, x: str, name: str) -> str:
        scale, shift = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.op("LayerNormalization", x, scale, shift, axis=-1, epsilon=_EPSILON)

    def heads(self, x: str, order: Sequence[int]) -> str:
        shape = self.constant([0, 0, HEADS, HIDDEN // HEADS], np.int64)
        return self.op("Transpose", self.op("Reshape", x, shape), perm=list(order))


def build(weights: Weights) -> ModelProto:
    """The model: int64 `ids` and `mask`, both (batch, length) → float32 `vector` (batch, 384), of unit length."""
    graph = _Graph(weights)
    state = _embeddings(graph)
    visible = graph.op("Cast", "mask", to=TensorProto.FLOAT)
    hidden = graph.op("Sub", graph.constant(1.0, np.float32), visible)
    bias = graph.op("Mul", hidden, graph.constant(_MASKED, np.float32))
    bias = graph.op("Unsqueeze", bias, graph.constant([1, 2], np.int64))
    for number in range(LAYERS):
        state = _layer(graph, state, bias, f"encoder.layer.{number}")
    _pool(graph, state, visible)
    axes = ["batch", "length"]
    made = helper.make_graph(
        graph.nodes,
        "minilm",
        [helper.make_tensor_value_info(name, TensorProto.INT64, axes) for name in ("ids", "mask")],
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["batch", HIDDEN])],
        list(graph.constants.values()),
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=10)


def _embeddings(graph: _Graph) -> str:
    words = graph.op("Gather", graph.weight("embeddings.word_embeddings.weight"), "ids")
    length = graph.op("Shape", "ids", start=1, end=2)
    zero, one = graph.constant(0, np.int64), graph.constant(1, np.int64)
    places = graph.op("Range", zero, graph.op("Squeeze", length), one)
    position = graph.op("Gather", graph.weight("embeddings.position_embeddings.weight"), places)
    kind = graph.op("Gather", graph.weight("embeddings.token_type_embeddings.weight"), zero)
    return graph.norm(graph.op("Add", graph.op("Add", words, position), kind), "embeddings.LayerNorm")


def _layer(graph: _Graph, state: str, bias: str, name: str) -> str:
    query = graph.heads(graph.linear(state, f"{name}.attention.self.query"), (0, 2, 1, 3))
    key = graph.heads(graph.linear(state, f"{name}.attention.self.key"), (0, 2, 3, 1))
    value = graph.heads(graph.linear(state, f"{name}.attention.self.value"), (0, 2, 1, 3))
    scale = graph.constant((HIDDEN // HEADS) ** -0.5, np.float32)
    scores = graph.op("Add", graph.op("Mul", graph.op("MatMul", query, key), scale), bias)
    mixed = graph.op("MatMul", graph.op("Softmax", scores, axis=-1), value)
    joined = graph.op("Transpose", mixed, perm=[0, 2, 1, 3])
    flat = graph.op("Reshape", joined, graph.constant([0, 0, HIDDEN], np.int64))
    attended = graph.op("Add", graph.linear(flat, f"{name}.attention.output.dense"), state)
    state = graph.norm(attended, f"{name}.attention.output.LayerNorm")
    inner = graph.op("Gelu", graph.linear(state, f"{name}.intermediate.dense"))
    return graph.norm(graph.op("Add", graph.linear(inner, f"{name}.output.dense"), state), f"{name}.output.LayerNorm")


def _pool(graph: _Graph, state: str, visible: str) -> None:
    weight = graph.op("Unsqueeze", visible, graph.constant([2], np.int64))
    axis = graph.constant([1], np.int64)
    total = graph.op("ReduceSum", graph.op("Mul", state, weight), axis, keepdims=0)
    mean = graph.op("Div", total, graph.op("ReduceSum", weight, axis, keepdims=0))
    length = graph.op("ReduceL2", mean, graph.constant([1], np.int64), keepdims=1)
    graph.nodes.append(helper.make_node("Div", [mean, length], ["vector"]))
