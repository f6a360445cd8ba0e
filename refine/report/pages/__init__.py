"""Sentences and tables of every result."""
