"""Finds the KV heads of a model that retrieve, for --kv duo. Runs the model in Hugging Face; never imports vllm."""
