"""Presentation of results: pages, figures and files. Computes nothing."""
