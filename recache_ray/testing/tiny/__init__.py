"""Every real pipeline class that has an adapter, small enough for a test: random weights, no file, no download."""
