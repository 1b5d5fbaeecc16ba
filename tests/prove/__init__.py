"""What happens to what was told when processes die, stall and fill up: `python -m tests.prove`."""
