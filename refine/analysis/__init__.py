"""What a round taught: pure functions of a space and a table."""
