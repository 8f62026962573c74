"""A run on disk: the names of its files, how a run claims its folder, and how finished runs and trained folds are opened.

    runs/x/
      config.json  split.json            the resolved config; subjects of every fold with a checksum
      fold_00/scores/<system>.npz        per video: scores [T, A], labels [T, A], frame numbers [T]
      fold_00/anet/{mean.npz,checkpoints,best.npz,finished.json}
      fold_00/hybrid/{features,lstm,fusion}/...
      fold_00/<system>/model.npz         of hog_svm, anet_transfer, cpm, jpml
      transfer/anet/...                  the CNN of anet_transfer, which all folds share
      results.json  results.sha256  results.md  costs.json  report.html  figures/  logs/
      config_history.json                where fields of `evaluation` were changed: what they were

Neither TensorFlow nor scikit-learn is imported here before a dataset is asked for.
"""

import contextlib
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32

from au_jax import files
from au_jax.config import Config, differing, to_dict, typed, with_defaults
from au_jax.errors import CommandError, ConfigError, DataError
from au_jax.evaluation import tables

if TYPE_CHECKING:
    from au_jax.data.dataset import FaceDataset
    from au_jax.models.cnn import AlexNet

__all__ = ["FinishedRun", "FoldDir", "RunDir", "TrainedFold", "defined", "load_run"]

MAY_DIFFER: tuple[str, ...] = ("folds", "systems", "compiled", "data.directory", "data.workers")
"""Fields that may change between two starts on one workdir: they decide what is done, not how it comes out."""

EVALUATION = "evaluation."
"""Fields of this section may change as well: tables are made of saved scores, and made anew."""


def fold_name(index: int) -> str:
    """A fold's name in logs, and that of its folder.

    Example:
      >>> fold_name(3)
      'fold_03'
    """
    return f"fold_{index:02d}"


@dataclass(frozen=True)
class FoldDir:
    """The names of a fold's files.

    Attributes:
      path: the fold's folder, or that of a part of its training.

    Example:
      >>> FoldDir(Path("runs/demo/fold_00")).scores("anet").as_posix()
      'runs/demo/fold_00/scores/anet.npz'
    """

    path: Path

    def scores(self, system: str) -> Path:
        """A system's scores of the test subjects; they say that it is finished."""
        return self.path / "scores" / f"{system}.npz"

    def model(self, system: str) -> Path:
        """What a system without networks has learned."""
        return self.path / system / "model.npz"

    @property
    def cnn(self) -> Path:
        """The folder of the CNN's checkpoints, mean image and note that it is finished."""
        return self.path / "anet"

    @property
    def mean(self) -> Path:
        """The training subjects' mean image, which is subtracted from the CNN's input."""
        return self.cnn / "mean.npz"

    @property
    def lstm(self) -> Path:
        """The folder of the LSTM stack's checkpoints."""
        return self.path / "hybrid" / "lstm"

    @property
    def fusion(self) -> Path:
        """The folder of the fusion network's checkpoints."""
        return self.fusion_of("hybrid")

    def fusion_of(self, system: str) -> Path:
        """The folder of the checkpoints of a system's fusion network."""
        return self.path / system / "fusion"

    @property
    def pca(self) -> Path:
        """The PCA of fc7."""
        return self.path / "hybrid" / "features" / "pca.npz"

    def features(self, subject: str) -> Path:
        """The PCA-reduced fc7 and the CNN's scores of a training or validation subject."""
        return self.path / "hybrid" / "features" / f"{subject}.npz"


@dataclass(frozen=True)
class RunDir:
    """The folder of a run: the names of its files, and the content of those that tell what it is.

    Attributes:
      path: what is the --workdir of `au_jax.main`.

    Example:
      >>> run = RunDir("runs/demo")
      >>> run.fold(2).as_posix(), run.score_path(2, "anet").as_posix()
      ('runs/demo/fold_02', 'runs/demo/fold_02/scores/anet.npz')
    """

    path: Path

    def __init__(self, path: str | Path):
        object.__setattr__(self, "path", Path(path))

    def fold(self, index: int) -> Path:
        """The folder of a fold."""
        return self.path / fold_name(index)

    def score_path(self, fold: int, system: str) -> Path:
        """A system's scores of a fold's test subjects."""
        return FoldDir(self.fold(fold)).scores(system)

    @property
    def config_path(self) -> Path:
        """The resolved config."""
        return self.path / "config.json"

    @property
    def history_path(self) -> Path:
        """What fields of the config were before they were changed; there is none where none was."""
        return self.path / "config_history.json"

    @property
    def split_path(self) -> Path:
        """Training, validation and test subjects of every fold."""
        return self.path / "split.json"

    @property
    def results_path(self) -> Path:
        """Every metric per AU of the finished folds."""
        return self.path / "results.json"

    @property
    def results_sum_path(self) -> Path:
        """The SHA-256 of results.json, for `sha256sum -c` and for readers of the run."""
        return self.path / "results.sha256"

    @property
    def table_path(self) -> Path:
        """The main metrics as a table for readers."""
        return self.path / "results.md"

    @property
    def costs_path(self) -> Path:
        """Seconds and memory of every stage."""
        return self.path / "costs.json"

    @property
    def report_path(self) -> Path:
        """The report page."""
        return self.path / "report.html"

    @property
    def figures(self) -> Path:
        """The folder of the figures."""
        return self.path / "figures"

    @property
    def logs(self) -> Path:
        """The folder of logs and TensorBoard events."""
        return self.path / "logs"

    @property
    def log_path(self) -> Path:
        """All lines of the terminal, with their time."""
        return self.logs / "run.log"

    @property
    def metrics_path(self) -> Path:
        """The metrics of every epoch, a line of JSON each."""
        return self.logs / "metrics.jsonl"

    def parts(self) -> list[Path]:
        """The files and folders that the run consists of, as far as they are there; what others put beside them is not."""
        own = [
            self.config_path,
            self.split_path,
            self.results_path,
            self.results_sum_path,
            self.table_path,
            self.costs_path,
            self.report_path,
        ]
        folders = [self.logs, self.path / "transfer", *self.path.glob("fold_*")]
        return [path for path in (*own, *folders) if path.exists()]

    @staticmethod
    def parts_of(folders: Iterable[str | Path]) -> list[Path]:
        """`parts` of several runs."""
        return [part for folder in folders for part in RunDir(folder).parts()]

    def resolved_config(self) -> Any:
        """The content of config.json, as it was written.

        Raises:
          DataError: the folder is not a run.
        """
        if not self.config_path.exists():
            raise DataError(
                f"{self.path} is not a run (it has no config.json); give what was the --workdir of a finished au_jax.main"
            )
        return self._read(self.config_path)

    def _read(self, path: Path) -> Any:
        try:
            return files.read_json(path)
        except DataError as error:
            flaw = str(error).partition("; ")[0]
            raise DataError(
                f"{flaw}; delete it, then au_jax.main with this --workdir and the run's own --config makes it again"
            ) from error

    def config(self) -> Config:
        """The config that the run was started with; fields that are newer than the run have their defaults.

        Raises:
          DataError: the folder is not a run, or its config.json is damaged.
        """
        return typed(with_defaults(self.resolved_config()))

    def split(self) -> dict[str, Any]:
        """The content of split.json: "folds", a list of {"train": .., "validation": .., "test": ..}, "seed", "checksum".

        Raises:
          DataError: it is damaged, or another file has taken its place.
        """
        document = self._read(self.split_path)
        folds = document.get("folds") if isinstance(document, dict) else None
        if not isinstance(folds, list) or not all(isinstance(fold, dict) and "test" in fold for fold in folds):
            raise DataError(
                f"{self.split_path} names no folds; delete it, then au_jax.main with this --workdir and the run's own --config "
                "makes it again"
            )
        return document

    def results(self, all_folds: bool = False) -> dict[str, Any]:
        """The content of results.json.

        Args:
          all_folds: refuse a run some folds of which are not finished.

        Raises:
          DataError: the run is not finished.
        """
        again = "finish it with au_jax.main and the same --config and --workdir"
        if not self.results_path.exists():
            raise DataError(f"{self.path} is not finished, it has no results.json; {again}")
        results = self._read(self.results_path)
        sums = self.results_sum_path
        if sums.exists() and sums.read_text(errors="replace") != self._results_sum():
            raise DataError(
                f"{self.results_path} has changed since it was written, or {sums.name} has; run au_jax.main on this workdir again"
            )
        finished, number = len(results["folds"]["finished"]), results["folds"]["all"]
        if all_folds and finished < number:
            raise DataError(f"{self.path} is not finished, it has {finished} of {number} folds; {again}")
        return results

    def keep_results(self, results: dict[str, Any]) -> None:
        """Writes results.json, and beside it results.sha256, as `sha256sum -c` reads it."""
        files.write_json(self.results_path, results)
        files.write_text(self.results_sum_path, self._results_sum())

    def _results_sum(self) -> str:
        return f"{hashlib.sha256(self.results_path.read_bytes()).hexdigest()}  {self.results_path.name}\n"

    def check(self, config: Config) -> None:
        """Makes sure that a run with this config may be started in the folder; writes nothing.

        Raises:
          ConfigError: the folder was started with another config; names the fields that differ.
        """
        if not self.config_path.exists():
            return
        before = with_defaults(self.resolved_config())
        differences = differing(before, to_dict(config), but=(*MAY_DIFFER, *_evaluation_fields(config)))
        if differences:
            raise ConfigError(
                f"{self.path} was started with another config; take another --workdir or the same values "
                f"({'; '.join(differences)})"
            )

    @contextlib.contextmanager
    def claimed(self, config: Config, others: Iterable[str] = ()) -> Iterator[None]:
        """Holds the folders that a run writes to until the block ends; other runs may do other folds meanwhile.

        Args:
          config: written to config.json, or compared with the one that is there.
          others: further folders in the run's, such as "transfer".

        Raises:
          ConfigError: the folder was started with another config.
          UserError: another process does one of these folds.
        """
        self.check(config)
        with files.locked(self.path, wait=True):
            # Another process may have come first.
            self.check(config)
            if not self.config_path.exists():
                files.write_json(self.config_path, to_dict(config), seal=True)
        folds = config.folds or range(config.protocol.folds)
        with contextlib.ExitStack() as stack:
            for folder in (*(self.fold(index) for index in folds), *(self.path / name for name in others)):
                stack.enter_context(files.locked(folder))
            yield

    def keep_evaluation(self, config: Config) -> list[str]:
        """Notes in config.json how the tables are made now, and in config_history.json how they were before.

        The caller holds the folder, and then writes the tables.

        Args:
          config: of the run, which `check` has passed.

        Returns:
          The fields that have changed, such as "evaluation.level: 0.95 there, 0.9 now".
        """
        before, now = with_defaults(self.resolved_config()), to_dict(config)
        changes = differing({"evaluation": before["evaluation"]}, {"evaluation": now["evaluation"]})
        if changes:
            # Were it killed in between, the history would name the present values once more; nothing would be lost.
            files.write_json(self.history_path, [*self.history(), {"evaluation": before["evaluation"]}])
            files.write_json(self.config_path, {**before, "evaluation": now["evaluation"]}, seal=True)
        return changes

    def history(self) -> list[dict[str, Any]]:
        """What changed fields of the config were, the oldest first: {"evaluation": {field: value}}, or nothing."""
        return self._read(self.history_path) if self.history_path.exists() else []

    def check_split(self, document: dict[str, Any]) -> None:
        """Makes sure that these folds are the run's, if it has any yet; writes nothing.

        Args:
          document: of `au_jax.data.splits.split_document`.

        Raises:
          ConfigError: the run has other folds.
        """
        if self.split_path.exists() and self.split() != document:
            raise ConfigError(
                f"{self.split_path} is not the split of this config and dataset; take another --workdir, or the dataset "
                "and the config.protocol.subjects_file that the run was started with"
            )

    def keep_split(self, document: dict[str, Any]) -> None:
        """Writes split.json, or makes sure that these folds are the run's.

        Args:
          document: of `au_jax.data.splits.split_document`.

        Raises:
          ConfigError: the run has other folds.
        """
        with files.locked(self.path, wait=True):
            if not self.split_path.exists():
                files.write_json(self.split_path, document, seal=True)
        self.check_split(document)


def _evaluation_fields(config: Config) -> list[str]:
    return [f"{EVALUATION}{name}" for name in to_dict(config)["evaluation"]]


@dataclass(frozen=True)
class FinishedRun:
    """A run with its results (`load_run`).

    Attributes:
      workdir: folder of the run.
      config: what it was started with.
      dataset: its faces; None where nothing is drawn that shows them.
      results: content of results.json; an undefined metric is None or NaN.

    Example:
      >>> run = load_run(run_folder)
      >>> run.systems, run.best_system in run.systems, list(run.columns)[0]
      (('hog_svm', 'anet', 'hybrid'), True, 'always_present')
    """

    workdir: Path
    config: Config
    dataset: "FaceDataset | None"
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
        """The AUs of the run, in the order of the columns of scores and labels."""
        return tuple(int(au) for au in self.results["always_present"]["f1_frame"] if au != "average")

    @property
    def uncoded_aus(self) -> tuple[int, ...]:
        """The AUs for which no tested frame has a label: what the networks say of them was never trained."""
        counts = self.results["always_present"]["counts"]
        return tuple(au for au in self.aus if not any(counts[str(au)].values()))

    @property
    def columns(self) -> dict[str, dict[str, Any]]:
        """Metrics of the table's columns: always-present, then every system."""
        return {"always_present": self.results["always_present"], **self.results["systems"]}

    @property
    def best_system(self) -> str:
        """The system with the highest average F1-frame; of equals the later one."""

        def average(name: str) -> float:
            value = defined(self.results["systems"][name]["f1_frame"]["average"])
            return -1.0 if value is None else value

        return max(reversed(self.systems), key=average)

    def scores(self, system: str) -> tables.Scored:
        """A system's scores of the test subjects of all finished folds; those of other subjects than split.json's are refused.

        Raises:
          FileNotFoundError: a score file is gone.
          DataError: a score file is damaged.
        """
        merged = tables.Scored({}, {}, {})
        for part in self._by_fold(system):
            # A subject is tested in one fold only, so that no key comes twice.
            merged.scores.update(part.scores)
            merged.labels.update(part.labels)
            merged.frames.update(part.frames)
            merged.intensities.update(part.intensities)
            merged.grades.update(part.grades)
        return merged

    def folded_scores(self) -> dict[str, list[tables.Scored]]:
        """The scores of every system, fold by fold; errors as in `scores`."""
        return {system: self._by_fold(system) for system in self.systems}

    def _by_fold(self, system: str) -> list[tables.Scored]:
        if system not in self._scores:
            paths = [RunDir(self.workdir).score_path(fold, system) for fold in self.folds]
            scored = [tables.read_scores(path) for path in paths]
            split = RunDir(self.workdir).split_path
            # Folders that were made from the results of others have none.
            tests = [fold["test"] for fold in RunDir(self.workdir).split()["folds"]] if split.exists() else None
            for fold, path, part in zip(self.folds, paths, scored, strict=True):
                if tests is not None:
                    tables.check_scores(part, path, tests[fold], len(self.aus))
            self._scores[system] = scored
        return self._scores[system]


def load_run(folder: str | Path) -> FinishedRun:
    """Opens a run: its config, its results and every system's scores of the test subjects; its faces are not opened.

    Args:
      folder: what was the --workdir of `au_jax.main`.

    Raises:
      DataError: the folder is not a run, or has no results yet.

    Example:
      >>> run = load_run(run_folder)
      >>> run.systems
      ('hog_svm', 'anet', 'hybrid')
      >>> scores = run.scores("hybrid").scores
      >>> next(iter(scores.values())).shape[1] == len(run.aus)
      True
    """
    run = RunDir(folder)
    return FinishedRun(run.path, run.config(), None, run.results())


@dataclass(frozen=True)
class TrainedFold:
    """A fold of a run with its trained CNN and its faces, for figures.

    Attributes:
      folder: of the run.
      fold: number of the fold.

    Example:
      >>> fold = TrainedFold(run_folder, 1)
      >>> fold.files.path.name, fold.cnn["mean"].shape
      ('fold_01', (40, 40, 3))
    """

    folder: Path
    fold: int = 0

    @property
    def files(self) -> FoldDir:
        """The names of the fold's files."""
        return FoldDir(RunDir(self.folder).fold(self.fold))

    @cached_property
    def config(self) -> Config:
        """What the run was started with."""
        return RunDir(self.folder).config()

    @property
    def title(self) -> str:
        """The run and what it was trained on, for readers."""
        data = self.config.data
        source = f"synthfacs {data.preset}" if data.source == "synthfacs" else data.name or data.source
        return f"{self.folder.absolute().name} ({source})"

    @cached_property
    def dataset(self) -> "FaceDataset":
        """All faces of the run's dataset; prepared anew where they are not on disk any more."""
        from au_jax.data.preparation import load_dataset

        return load_dataset(self.config.data)

    @cached_property
    def test_subjects(self) -> tuple[str, ...]:
        """Those on whom the fold's networks were not trained."""
        self._check_fold()
        return tuple(RunDir(self.folder).split()["folds"][self.fold]["test"])

    def _check_fold(self) -> None:
        number = self.config.protocol.folds
        if self.fold not in range(number):
            raise CommandError(
                f"{self.folder} has folds 0 to {number - 1}, not {self.fold}; choose among these with --fold"
            )

    @cached_property
    def cnn(self) -> dict[str, Any]:
        """The fold's CNN: {"params": .., "mean": [S, S, 3]}.

        Raises:
          CommandError: the run has no such fold.
          DataError: the fold has no CNN, or one that is not trained to its end.
        """
        from au_jax.training.best_params import best_params

        self._check_fold()
        if not self.files.cnn.exists():
            raise DataError(
                f"{self.folder} has no CNN in {fold_name(self.fold)}; {add_systems(self.folder, self.config, ('anet',))}"
            )
        return {"params": best_params(self.files.cnn), "mean": files.read_npz(self.files.mean)["mean"]}

    @property
    def thresholds(self) -> Float32[np.ndarray, " A"]:
        """What was subtracted from the CNN's logits to make its scores."""
        return files.read_npz(self.files.scores("anet"), only=("thresholds",))["thresholds"]

    @property
    def model(self) -> "AlexNet":
        """The network that `cnn` has the parameters of."""
        from au_jax.models.hybrid import make_cnn

        return make_cnn(self.config.cnn, len(self.config.data.aus))

    @property
    def window(self) -> slice:
        """Rows and columns of a registered face that the CNN sees."""
        start = (self.config.data.image_size - self.config.data.crop_size) // 2
        return slice(start, start + self.config.data.crop_size)


def add_systems(folder: Path, config: Config, systems: Iterable[str]) -> str:
    """How to add systems to a run, for messages.

    Example:
      >>> add_systems(Path("runs/a"), Config(systems=("hog_svm",)), ("anet",))
      "add it by au_jax.main with the run's own --config, --workdir=runs/a and --config.systems=('hog_svm','anet')"
    """
    names = tuple(dict.fromkeys((*config.systems, *systems)))
    flag = repr(names).replace(" ", "")
    return f"add it by au_jax.main with the run's own --config, --workdir={folder} and --config.systems={flag}"


def defined(value: float | None) -> float | None:
    """The metric, or None where it is undefined: null in results.json, NaN in memory.

    Example:
      >>> defined(float("nan")), defined(None), defined(0.5)
      (None, None, 0.5)
    """
    return None if value is None or not np.isfinite(value) else float(value)
