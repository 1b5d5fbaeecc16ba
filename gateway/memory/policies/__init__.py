"""The table of memory policies: name → "module:Class". A new policy is one file here and one line below."""

TABLE = {
    "none": "gateway.memory.policies.none:Nothing",
    "verbatim": "gateway.memory.policies.verbatim:Verbatim",
    "adaptive": "gateway.memory.policies.adaptive:Adaptive",
}
