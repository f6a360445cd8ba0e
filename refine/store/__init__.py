"""Where trees are kept. The only folder that knows SQL."""
