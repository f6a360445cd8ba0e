"""User interfaces: the shell and the review page."""
