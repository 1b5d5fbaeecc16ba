"""The table of KV policies. A new policy is one file here and one line below."""

TABLE = {
    "full": "workers.kv.policies.full:Full",
    "sink_window": "workers.kv.policies.sink_window:SinkWindow",
    "surprisal": "workers.kv.policies.surprisal:Surprisal",
    "duo": "workers.kv.policies.duo:Duo",
    "block_recall": "workers.kv.policies.block_recall:BlockRecall",
    "modality_window": "workers.kv.policies.modality_window:ModalityWindow",
}
