"""How throughput, and the learner's work, grow with the number of rollout actors: figures, table, plot."""
