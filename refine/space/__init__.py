"""What is searched: parameters with their levels, constraints, edits, and every way to write them down."""
