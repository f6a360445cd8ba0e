"""User interfaces: the shell, the review page, and a guided round."""
