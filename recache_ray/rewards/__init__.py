"""Rewards: signed numbers made from metrics; higher is better."""
