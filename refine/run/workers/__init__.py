"""The worker pool: tasks and objectives on their way to processes, and who starts, watches and replaces these."""
