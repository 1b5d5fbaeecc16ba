"""The workers as seen from here."""
