"""Policy gradient, local search and the loop around them: schedules, log-probabilities and numbers, never models."""
