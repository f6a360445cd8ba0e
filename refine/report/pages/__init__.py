"""Sentences and tables of results."""
