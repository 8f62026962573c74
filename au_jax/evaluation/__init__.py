"""Metrics, intervals and tables, all computed from saved scores."""
