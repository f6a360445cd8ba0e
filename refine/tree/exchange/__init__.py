"""In and out: folders, tables, studies of Optuna, other trees."""
