"""From evidence to a narrower or wider space, with its reasons and its risk. Pure."""
