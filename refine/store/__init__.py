"""Storage of trees. The only folder that contains SQL."""
