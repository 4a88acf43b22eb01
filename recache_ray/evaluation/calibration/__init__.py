"""Measuring what baselines with a schedule known in advance need, and keeping it on disk."""
