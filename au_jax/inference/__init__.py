"""AUs of new videos with the networks of a finished run."""
