"""The type of a configuration, and those of older runs."""

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from au_jax.errors import UserError
from au_jax.labels import check_aus
from configs import base

Config: TypeAlias = Any
"""An `ml_collections.ConfigDict` as configs/base.py makes it; its fields are of any type to a type checker."""


def with_defaults(resolved: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a run's config.json, with the fields that have come into configs/base.py since then at their defaults.

    Raises:
      UserError: it holds no fields, or the run is of other AUs.
    """
    if not isinstance(resolved, Mapping):
        raise UserError(f"a run's config.json holds {type(resolved).__name__} and no fields; take another --workdir")
    check_aus(resolved.get("aus"), "this run")
    return _overlaid(json.loads(base.get_config().to_json_best_effort()), resolved)


def _overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**below, **above}
    for name, value in above.items():
        if isinstance(value, Mapping) and isinstance(below.get(name), Mapping):
            merged[name] = _overlaid(below[name], value)
    return merged
