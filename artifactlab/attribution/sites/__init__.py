"""Where a running model enlarges something, what the result passes on its way out, and what the activation shows."""
