"""Material for a person's decision: checks, reviews, decisions, and a track record. Pure."""
