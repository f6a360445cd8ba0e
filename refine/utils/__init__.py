"""What every folder may use: numbers and texts as people read them, tables, threads. Knows nothing of refine."""
