"""What ``refine init`` writes."""
