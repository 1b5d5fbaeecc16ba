"""Models that reflection asks. Chosen by wiring: a URL and a model's name, or none."""
