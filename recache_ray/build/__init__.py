"""The composition root: the only place where the whole configuration becomes objects."""
