"""Trials, their tables and goals, and the frozen record of a round. Values, no database."""
