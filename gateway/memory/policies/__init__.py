"""The table of memory policies: name → "module:Class". A new policy is one file here and one line below."""

TABLE = {
    "none": "gateway.memory.policies.none:Nothing",
    "verbatim": "gateway.memory.policies.verbatim:Verbatim",
    "adaptive": "gateway.memory.policies.adaptive:Adaptive",
    "scm": "gateway.memory.policies.scm:Scm",
    "tim": "gateway.memory.policies.tim:Tim",
    "memorybank": "gateway.memory.policies.memorybank:MemoryBank",
    "hema": "gateway.memory.policies.hema:Hema",
    "hindsight": "gateway.memory.policies.hindsight:Hindsight",
    "memos": "gateway.memory.policies.memos:Memos",
    "mem_alpha": "gateway.memory.policies.mem_alpha:MemAlpha",
    "reasoningbank": "gateway.memory.policies.reasoningbank:ReasoningBank",
    "arcmemo": "gateway.memory.policies.arcmemo:ArcMemo",
    "exprag": "gateway.memory.policies.exprag:ExpRag",
    "remem": "gateway.memory.policies.remem:ReMem",
    "vilomem": "gateway.memory.policies.vilomem:ViLoMem",
}
