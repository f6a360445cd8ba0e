"""The search space: parameters with their levels, constraints, edits, and their notations."""
