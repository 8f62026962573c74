"""One configuration run with several seeds: what its figures are on average, and how far apart they lie."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from au_jax.evaluation.tables import DISPLAY_NAMES, aligned

LEVEL = 0.95
"""Of the intervals of the mean over seeds."""


def over_seeds(
    runs: Mapping[int, Mapping[str, float]], beside: Mapping[int, Mapping[str, float]] | None = None
) -> dict[str, Any]:
    """Means over seeds, and differences that are paired by seed.

    Args:
      runs: seed -> system -> a figure in percent; the same systems for every seed, in the order of the table. A figure that
        is undefined is NaN, and what is computed from it as well.
      beside: of the same seeds, the same work done elsewhere, such as on another machine; its systems may be fewer.

    Returns:
      {"seeds": [..], "systems": {name: spread}, "differences": {"b - a": spread of neighbours}, "elsewhere": {name: spread of
      elsewhere - here}}. A spread holds values (by seed), mean, sd (of one run, n - 1) and interval (of the mean, Student's t
      at `LEVEL`); sd and interval are None for a single seed.

    Raises:
      ValueError: no seed, or others in `beside`.
    """
    seeds = sorted(runs)
    if not seeds or (beside is not None and sorted(beside) != seeds):
        raise ValueError(f"seeds {seeds}, and elsewhere {sorted(beside or {})}; both need the same ones")

    def spread(figure: Callable[[int], float]) -> dict[str, Any]:
        return _spread([figure(seed) for seed in seeds])

    names = list(runs[seeds[0]])
    elsewhere = beside or {}
    shared = [name for name in names if all(name in figures for figures in elsewhere.values())] if beside else []
    return {
        "seeds": seeds,
        "systems": {name: spread(lambda seed, name=name: runs[seed][name]) for name in names},
        "differences": {
            f"{after} - {before}": spread(lambda seed, a=after, b=before: runs[seed][a] - runs[seed][b])
            for before, after in zip(names, names[1:], strict=False)
        },
        "elsewhere": {
            name: spread(lambda seed, name=name: elsewhere[seed][name] - runs[seed][name]) for name in shared
        },
    }


def average(by_au: Mapping[str, Any]) -> float:
    """The average over AUs of a figure in results.json; NaN where it is undefined."""
    value = by_au["average"]
    return float("nan") if value is None else float(value)


def markdown(document: Mapping[str, Any], title: str) -> str:
    """The table of `over_seeds`, a row per seed, with mean, standard deviation and interval, and the paired differences.

    Args:
      document: what `over_seeds` returns.
      title: name of the figure, such as "F1-frame".
    """
    systems, count = document["systems"], len(document["seeds"])
    rows = [["seed", *(_display(name) for name in systems)]]
    for number, seed in enumerate(document["seeds"]):
        rows.append([str(seed), *(_figure(spread["values"][number]) for spread in systems.values())])
    rows.append(["mean", *(_figure(spread["mean"]) for spread in systems.values())])
    if count > 1:
        rows.append(["SD of a run", *(_figure(spread["sd"], ".2f") for spread in systems.values())])
        rows.append([f"{LEVEL:.0%} interval", *(_interval(spread, ".1f") for spread in systems.values())])
    parts = [f"{title} in percent over {count} seed{'s' if count > 1 else ''}.", aligned(rows)]
    for heading, found in (
        ("Differences, paired by seed", document["differences"]),
        ("Elsewhere minus here, paired by seed", document["elsewhere"]),
    ):
        if found:
            head = ["", "mean", *([f"{LEVEL:.0%} interval", "SD"] if count > 1 else []), "largest"]
            parts += [f"{heading}:", aligned([head, *(_difference(name, spread) for name, spread in found.items())])]
    return "\n\n".join(parts) + "\n"


def _spread(values: Sequence[float]) -> dict[str, Any]:
    array = np.asarray(values, np.float64)
    mean, count = float(array.mean()), len(array)
    if count == 1:
        return {"values": array.tolist(), "mean": mean, "sd": None, "interval": None}
    sd = float(array.std(ddof=1))
    reach = float(stats.t.ppf((1 + LEVEL) / 2, count - 1)) * sd / count**0.5
    return {"values": array.tolist(), "mean": mean, "sd": sd, "interval": [mean - reach, mean + reach]}


def _difference(name: str, spread: Mapping[str, Any]) -> list[str]:
    of_several = [_interval(spread, "+.2f"), _figure(spread["sd"], ".2f")] if spread["interval"] else []
    largest = spread["values"][int(np.argmax(np.abs(spread["values"])))]
    return [
        " - ".join(map(_display, name.split(" - "))),
        *(_figure(spread["mean"], "+.2f"), *of_several, _figure(largest, "+.2f")),
    ]


def _interval(spread: Mapping[str, Any], form: str) -> str:
    low, high = spread["interval"]
    return f"{_figure(low, form)} to {_figure(high, form)}"


def _figure(value: float, form: str = ".1f") -> str:
    return format(value, form) if np.isfinite(value) else "-"


def _display(name: str) -> str:
    return DISPLAY_NAMES.get(name, name)
