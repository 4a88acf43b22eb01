"""Diffusion models behind one call, whatever their pipeline."""
