"""Rules that decide during a generation which steps to compute: the adaptive rivals of a schedule."""
