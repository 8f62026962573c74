"""Recordings, the registered dataset, subject-exclusive folds, and streams of frames and subsequences."""
