"""Rival searches by real rollouts: many at a time through one pool, every answer kept on disk."""
