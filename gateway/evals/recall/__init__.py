"""How well memory is found again, measured through the gateway's own recall path on files that the user brings."""
