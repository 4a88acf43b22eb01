"""A training that is damaged on purpose, compared with the same one left in peace: the verb ``bench faults``."""
