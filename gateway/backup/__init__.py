"""A whole installation as lines of JSON, out and in again, whatever stores it has. Knows no adapter and no route."""
