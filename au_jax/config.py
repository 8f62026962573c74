"""The type of a configuration, and those of older runs."""

import json
from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

from au_jax.errors import UserError
from configs import base

Config: TypeAlias = Any
"""An `ml_collections.ConfigDict` as configs/base.py makes it; its fields are of any type to a type checker."""

DataConfig: TypeAlias = Any
"""Its part `data`."""


def with_defaults(resolved: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a run's config.json, with the fields that have come into configs/base.py since then at their defaults.

    Raises:
      UserError: it holds no fields.
    """
    if not isinstance(resolved, Mapping):
        raise UserError(f"a run's config.json holds {type(resolved).__name__} and no fields; take another --workdir")
    if "aus" in resolved:  # where data.aus was before
        resolved = {name: value for name, value in resolved.items() if name != "aus"} | {
            "data": {"aus": resolved["aus"], **resolved.get("data", {})}
        }
    return _overlaid(json.loads(base.get_config().to_json_best_effort()), resolved)


def differing(before: Mapping[str, Any], now: Mapping[str, Any], but: Collection[str] = ()) -> list[str]:
    """The fields of two resolved configs that differ, those of `but` left out, such as "seed: 0 there, 1 now"."""
    before, now = _flat(before), _flat(now)
    return [
        f"{field}: {before.get(field)!r} there, {now.get(field)!r} now"
        for field in sorted({*before, *now})
        if field not in but and before.get(field) != now.get(field)
    ]


def _flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(tree, Mapping):
        return {prefix.rstrip("."): tree}
    return {field: value for key, item in tree.items() for field, value in _flat(item, f"{prefix}{key}.").items()}


def _overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**below, **above}
    for name, value in above.items():
        if isinstance(value, Mapping) and isinstance(below.get(name), Mapping):
            merged[name] = _overlaid(below[name], value)
    return merged
