"""The store of uncached generations that rollouts are compared with."""
