"""Schedules to compare the learned ones with: fixed rules that need neither a model nor a search."""
