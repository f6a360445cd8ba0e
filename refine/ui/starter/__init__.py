"""What ``refine init`` writes and ``refine demo`` runs."""
