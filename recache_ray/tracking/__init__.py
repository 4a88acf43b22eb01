"""Where parameters, metrics and artifacts of a run go."""
