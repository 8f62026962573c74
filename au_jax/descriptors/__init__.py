"""Hand-crafted frame descriptors."""
