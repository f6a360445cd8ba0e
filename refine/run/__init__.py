"""From a plan to finished trials: objectives, workers, limits, replays."""
