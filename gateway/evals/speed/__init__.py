"""How fast a question finds what it needs, and how that grows with what is remembered. Needs no file of the user's."""
