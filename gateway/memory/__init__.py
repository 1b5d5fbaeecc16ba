"""What is known about the caller: nouns, decisions, seams and the verbs that drive them."""
