"""Published results of one or several evaluated runs: a JSON file, and the tables and picture rendered from it."""
