"""AUs of new videos, with the networks of a finished run: `Detector.from_run("runs/demo").detect("clip.mp4")`."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from au_jax import files
from au_jax.config import Config
from au_jax.errors import CommandError, DataError, UserError
from au_jax.inference.scoring import FaceScorer
from au_jax.labels import INTENSITY, PROBABILITY
from au_jax.models import hybrid
from au_jax.run_dir import FoldDir, RunDir
from au_jax.training.best_params import REMEDY, best_params

INTENSITY_SYSTEM = "anet_intensity"
"""The system whose head gives intensities."""


class Detector(FaceScorer):
    """CNN and hybrid of one or more folds of a run, ready for videos.

    Args:
      config: of the run.
      folds: the variables of each fold (`read_variables`); scores are the mean over folds.
      systems: of `hybrid.SYSTEMS`; the last one decides what is present.

    Attributes:
      aus: AU numbers, in the order of the scores' columns.
      delay: frames after a frame that its scores wait for (`config.fusion.lookahead`).
      outputs: what `score` gives: the systems and, where all folds know it, `labels.PROBABILITY` and `labels.INTENSITY`.

    Raises:
      ConfigError: the hybrid is asked for and its LSTM is bidirectional.

    Example:
      >>> detector = Detector.from_run(run_folder, folds=[0], systems=["anet"])
      >>> detector
      Detector(systems=('anet',), folds=1, image_size=40)
      >>> detector.score(np.zeros((2, 40, 40, 3), np.uint8))["anet"].shape == (2, len(detector.aus))
      True
    """

    def __init__(self, config: Config, folds: Sequence[Any], systems: Sequence[str]):
        hybrid.check_streamable(config, systems)
        self.config = config
        self.aus = tuple(config.data.aus)
        self.image_size = config.data.image_size
        self.landmarks = config.data.landmarks
        self.systems = tuple(systems)
        known = set.intersection(*(set(fold) for fold in folds))
        # What a fold of an earlier version does not know, the mean over folds cannot have.
        self.folds = tuple({name: part for name, part in fold.items() if name in known} for fold in folds)
        further = {"calibration": PROBABILITY, INTENSITY: INTENSITY}
        self.outputs = (*self.systems, *(output for name, output in further.items() if name in known))
        self.delay = hybrid.delay(config, self.systems)
        self._step = jax.jit(partial(hybrid.apply, config, self.systems))

    def __repr__(self) -> str:
        return f"Detector(systems={self.systems}, folds={len(self.folds)}, image_size={self.image_size})"

    @classmethod
    def from_run(
        cls, run: str | Path, folds: Sequence[int] | None = None, systems: Sequence[str] | None = None
    ) -> "Detector":
        """Reads the trained networks of a run.

        Args:
          run: the --workdir of `au_jax.main`.
          folds: whose networks serve; by default those of all folds.
          systems: "anet", "hybrid" or both; by default those that the run has.

        Raises:
          CommandError: a fold or system that the run does not have, or a system that cannot score new videos.
          DataError: no run; a fold that is not finished, or damaged.
          ConfigError: the hybrid is asked for and its LSTM is bidirectional.

        Example:
          >>> detector = Detector.from_run(run_folder, folds=[0], systems=["anet"])
          >>> detector.systems, len(detector.folds)
          (('anet',), 1)
        """
        run = Path(run)
        config = RunDir(run).config()
        folds = list(folds) if folds else list(range(config.protocol.folds))
        strangers = [index for index in folds if index not in range(config.protocol.folds)]
        if strangers:
            raise CommandError(
                f"{run} has folds 0 to {config.protocol.folds - 1}, not {strangers}; choose among these with --folds"
            )
        systems = _choose_systems(run, config, folds, systems)
        hybrid.check_streamable(config, systems)
        finished = [index for index in range(config.protocol.folds) if set(systems) <= _finished(run, index)]
        missing = [index for index in folds if index not in finished]
        if missing:
            lacking = " and ".join(name for name in systems if name not in _finished(run, missing[0]))
            usable = f", or choose among the finished folds with --folds={','.join(map(str, finished))}"
            absent = [name for name in systems if name not in config.systems]
            also = f" and --config.systems={repr((*config.systems, *absent)).replace(' ', '')}" if absent else ""
            raise DataError(
                f"{run} is not finished: fold {missing[0]} has no {lacking}; run au_jax.main again with the run's own --config "
                f"and --workdir={run}{also}{usable if finished else ''}"
            )
        return cls(config, [read_variables(config, RunDir(run).fold(index), systems) for index in folds], systems)

    def initial_carry(self) -> dict[str, Any]:
        """The state of a fold before a video's first frame."""
        return hybrid.initial_carry(self.config, self.systems, INTENSITY in self.outputs)

    def _initial_carries(self) -> list[Any]:
        return [self.initial_carry() for _ in self.folds]

    def _mean_scores(
        self, carries: list[Any], faces: np.ndarray, present: np.ndarray
    ) -> tuple[list[Any], dict[str, np.ndarray]]:
        stepped = [self._step(*pair, faces, present) for pair in zip(self.folds, carries, strict=True)]
        means = {name: np.mean([scores[name] for _, scores in stepped], 0) for name in self.outputs}
        return [carry for carry, _ in stepped], means


def read_variables(config: Config, fold: Path, systems: Sequence[str]) -> dict[str, Any]:
    """Reads the variables of a fold's trained networks, thresholds and calibration, as `hybrid.apply` takes them.

    Args:
      config: of the run.
      fold: its folder, such as runs/demo/fold_00.
      systems: of `hybrid.SYSTEMS`; "hybrid" brings LSTM and fusion along.

    Raises:
      DataError: a file is missing or damaged.
      UserError: a network has not been trained to its end, or its checkpoint is damaged.

    Example:
      >>> variables = read_variables(RunDir(run_folder).config(), run_folder / "fold_00", ["anet"])
      >>> sorted(variables), variables["cnn"]["mean"].shape
      (['calibration', 'cnn', 'thresholds'], (40, 40, 3))
    """
    files_of = FoldDir(fold)
    scored = {name: _read(files_of.scores(name), "thresholds", further=["calibration"]) for name in systems}
    variables: dict[str, Any] = {
        "cnn": {"params": best_params(files_of.cnn), "mean": _read(files_of.mean, "mean")["mean"]},
        "thresholds": {name: arrays["thresholds"] for name, arrays in scored.items()},
    }
    # Scores of earlier versions have none.
    if (calibration := scored[systems[-1]].get("calibration")) is not None:
        variables["calibration"] = calibration
    # Intensities come from the same CNN, where the system was trained and scored as well.
    if files_of.scores(INTENSITY_SYSTEM).exists():
        head = _read(files_of.model(INTENSITY_SYSTEM), "mean", "components", "weights", "borders")
        variables[INTENSITY] = head
    if "hybrid" in systems:
        variables["pca"] = _read(files_of.pca, "mean", "components")
        variables["lstm"] = best_params(files_of.lstm)
        variables["fusion"] = best_params(files_of.fusion)
    return jax.device_put(jax.tree.map(np.asarray, variables))


def parse_folds(texts: Sequence[str]) -> list[int]:
    """Numbers of folds, as the flag --folds gives them.

    Raises:
      CommandError: something else.

    Example:
      >>> parse_folds(["0", "2"])
      [0, 2]
    """
    try:
        return [int(text) for text in texts]
    except ValueError:
        raise CommandError(f"--folds is {','.join(texts)!r}; give numbers of folds, such as --folds=0,2") from None


def _choose_systems(run: Path, config: Config, folds: Sequence[int], wanted: Sequence[str] | None) -> tuple[str, ...]:
    """The systems that serve, in the order of `hybrid.SYSTEMS`: those that are wanted, or those that the folds have."""
    streamable = " and ".join(hybrid.SYSTEMS)
    strangers = [name for name in wanted or () if name not in hybrid.SYSTEMS]
    if strangers:
        raise CommandError(
            f"{' and '.join(strangers)} cannot score new videos, {streamable} can; choose with --systems"
        )
    finished = [_finished(run, index) for index in range(config.protocol.folds)]
    # A system may have been added after the run's config was written.
    trained = [name for name in hybrid.SYSTEMS if name in set.union(set(config.systems), *finished)]
    absent = [name for name in wanted or () if name not in trained]
    if absent or not trained:
        lacking = f"has no {' and '.join(absent)}" if absent else "has no system that can score new videos"
        instead = f"take --systems={','.join(trained)}, or " if trained else ""
        systems = repr((*config.systems, *(absent or hybrid.SYSTEMS))).replace(" ", "")
        raise CommandError(
            f"{run} {lacking}: it was made with {', '.join(config.systems)}, and of all systems {streamable} can; {instead}"
            f"add what is missing by au_jax.main with the run's own --config, --workdir={run} and --config.systems={systems}"
        )
    begun = [finished[index] for index in folds if finished[index]]
    common = set.intersection(*begun) if begun else set()
    return tuple(name for name in hybrid.SYSTEMS if name in (wanted or common or trained))


def _finished(run: Path, index: int) -> set[str]:
    """Which of `hybrid.SYSTEMS` a fold has finished."""
    return {name for name in hybrid.SYSTEMS if RunDir(run).score_path(index, name).exists()}


def _read(path: Path, *names: str, further: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Arrays of a file, and those of `further` that it has."""
    try:
        arrays = files.read_npz(path, only=(*names, *further))
        return {name: arrays[name] for name in (*names, *further) if name in names or name in arrays}
    except (UserError, FileNotFoundError, KeyError) as error:
        raise DataError(f"{path} is missing or damaged; delete it if it is there, {REMEDY}") from error
