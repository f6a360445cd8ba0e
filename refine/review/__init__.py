"""What a person looks at and decides: checks, reviews, decisions, and how earlier ones turned out. Pure."""
