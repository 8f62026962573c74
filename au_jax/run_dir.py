"""What the report reads of a run: its results, and the saved scores of the folds that are finished."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from au_jax import files
from au_jax.config import Config
from au_jax.data.dataset import FaceDataset
from au_jax.errors import UserError
from au_jax.evaluation import tables
from au_jax.systems import display


@dataclass(frozen=True)
class FinishedRun:
    """A run with its results.

    Attributes:
      workdir: folder of the run.
      config: what it was started with.
      dataset: its faces; None where nothing is drawn that shows them.
      results: content of results.json; an undefined figure is None or NaN.
    """

    workdir: Path
    config: Config
    dataset: FaceDataset | None
    results: dict[str, Any]
    _scores: dict[str, list[tables.Scored]] = field(default_factory=dict, repr=False)

    @property
    def systems(self) -> tuple[str, ...]:
        """Names of the systems that the results are of, in order of the table."""
        return tuple(self.results["systems"])

    @property
    def folds(self) -> tuple[int, ...]:
        """Numbers of the folds that the results are of."""
        return tuple(self.results["folds"]["finished"])

    @property
    def aus(self) -> tuple[int, ...]:
        """AU numbers of the results, in their order."""
        return tables.result_aus(self.results)

    @property
    def columns(self) -> dict[str, dict[str, Any]]:
        """Figures of the table's columns: always-present, then every system."""
        return {"always_present": self.results["always_present"], **self.results["systems"]}

    @property
    def best_system(self) -> str:
        """The system with the highest average F1-frame; of equals the later one."""

        def average(name: str) -> float:
            value = defined(self.results["systems"][name]["f1_frame"]["average"])
            return -1.0 if value is None else value

        return max(reversed(self.systems), key=average)

    def scores(self, system: str) -> tables.Scored:
        """A system's scores of the test subjects of all finished folds.

        Raises:
          FileNotFoundError: a score file is gone.
          UserError: a score file is damaged.
        """
        merged = tables.Scored({}, {}, {})
        for part in self._by_fold(system):
            # A subject is tested in one fold only, so that no key comes twice.
            merged.scores.update(part.scores)
            merged.labels.update(part.labels)
            merged.frames.update(part.frames)
        return merged

    def folded_scores(self) -> dict[str, list[tables.Scored]]:
        """The scores of every system, fold by fold; errors as in `scores`."""
        return {system: self._by_fold(system) for system in self.systems}

    def _by_fold(self, system: str) -> list[tables.Scored]:
        if system not in self._scores:
            paths = [self.workdir / f"fold_{fold:02d}" / "scores" / f"{system}.npz" for fold in self.folds]
            self._scores[system] = [tables.read_scores(path) for path in paths]
        return self._scores[system]


def read_finished(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The contents of config.json and results.json of a run, all folds of which are finished.

    Raises:
      UserError: it is no run, or not finished.
    """
    if not (folder / "config.json").exists():
        raise UserError(f"{folder} is no run, it has no config.json; give what was the --workdir of au_jax.main")
    again = "finish it with au_jax.main and the same --config and --workdir"
    if not (folder / "results.json").exists():
        raise UserError(f"{folder} is not finished, it has no results.json; {again}")
    results = files.read_json(folder / "results.json")
    finished, number = results["folds"]["finished"], results["folds"]["all"]
    if len(finished) < number:
        raise UserError(f"{folder} is not finished, it has {len(finished)} of {number} folds; {again}")
    return files.read_json(folder / "config.json"), results


def defined(value: float | None) -> float | None:
    """The figure, or None where it is undefined: null in results.json, NaN in memory."""
    return None if value is None or not np.isfinite(value) else float(value)


def display_name(name: str) -> str:
    """A system's or trivial predictor's name for readers."""
    return display.label(name)
