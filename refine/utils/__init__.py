"""Tools for all folders: numbers and texts for people, tables, threads. Free of refine's own types."""
