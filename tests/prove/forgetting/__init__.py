"""Whether anything is left of who was forgotten, in mid-answer, and whether the certificate can be believed."""
