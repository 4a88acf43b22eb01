"""One file for each family of pipelines: what is special about it, and nothing else."""
