"""The report of a run: pictures of what was found and learned, and one HTML page that needs nothing but itself."""

from au_jax.report.page import write_report

__all__ = ["write_report"]
