"""The console script ``recache``: the only package that imports hydra and omegaconf, and only once a verb runs."""
