"""Half an hour of everything at once: does any process grow? `python -m tests.soak`."""
