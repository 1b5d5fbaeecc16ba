"""Mneme's workers: model servers that the gateway relays to. Never imports the gateway."""
