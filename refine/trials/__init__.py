"""What running a configuration gave, and the frozen record of a round. Values, no database."""
