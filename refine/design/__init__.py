"""Which configurations a round runs, in which order, and what ends a trial early."""
