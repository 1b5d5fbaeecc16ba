"""What memory policies do over time, measured: `python -m tests.bench_memory`."""
