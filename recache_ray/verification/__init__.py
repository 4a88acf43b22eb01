"""Proof that a library computes the steps an export names: the real library, a tiny model, counted block forwards."""
