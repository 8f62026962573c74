"""Configurations: `base` holds every field with its comment, the others change few of them."""
