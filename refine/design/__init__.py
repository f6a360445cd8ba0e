"""Designs: the configurations of a round, their order, and early stopping of trials."""
