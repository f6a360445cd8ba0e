"""Measurements on a round: pure functions of a space and a table."""
