"""Losses, optimizers, the loop, data parallelism and checkpoints; imports without TensorFlow."""
