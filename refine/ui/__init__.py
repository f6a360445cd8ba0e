"""Where people steer: the shell, the review page, and a guided round."""
