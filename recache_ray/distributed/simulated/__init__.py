"""Rollout actors that sleep in place of a model, for measuring what a large cluster asks of the learner."""
