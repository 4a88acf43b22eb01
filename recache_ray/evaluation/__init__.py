"""Held-out comparison of schedules: the quality-budget frontier, its table, plots and picture grid."""
