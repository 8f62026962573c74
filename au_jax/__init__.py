"""Facial action unit detection from spatial and temporal cues (Chu, De la Torre & Cohn, FG 2017) in JAX/Flax."""
