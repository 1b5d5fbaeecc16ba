"""The front doors, thin: parse, call one verb, render."""
