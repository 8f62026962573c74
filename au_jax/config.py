"""The type of a configuration."""

from typing import Any, TypeAlias

Config: TypeAlias = Any
"""An `ml_collections.ConfigDict` as configs/base.py makes it; its fields are of any type to a type checker."""
