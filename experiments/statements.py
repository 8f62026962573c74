"""What the paper's section IV states, tested on runs of one's own: holds, does not, or not to be told.

    python -m experiments.statements --out=runs/paper --seeds=0,1,2

reads the runs that `experiments.reproduce --out=runs/paper` made (those that are not there are told as not run), and writes
statements.md and statements.json beside them. Every statement is a sum of averages over AUs that should be above 0, such as the
F1-frame of ANet less that of HOG+SVM. People are resampled, for all systems of a run alike, and seeds are averaged.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from au_jax import files
from au_jax.command_line import run_command
from au_jax.errors import CommandError
from au_jax.evaluation import bootstrap, events, metrics
from au_jax.evaluation.tables import (
    Scored,
    aligned,
    read_scores,
    subject_counts,
    subject_event_counts,
    with_average,
)
from au_jax.run_dir import RunDir
from au_jax.systems import display
from experiments import scales

REPLICATES, LEVEL = 2000, 0.95
HOLDS, DOES_NOT, UNKNOWN, NOT_RUN = "holds", "does not", "not to be told", "not run"
_NAMES = {"bp4d": "BP4D", "gft": "GFT", "3fold": "3 folds", "10fold": "10 folds"}


@dataclass(frozen=True)
class Term:
    """One average of one system in one run, with its sign.

    Example:
      >>> Term(-1, "bp4d", "3fold", "hog_svm").run
      ('bp4d', '3fold')
    """

    weight: int
    dataset: str
    protocol: str
    system: str

    @property
    def run(self) -> tuple[str, str]:
        return self.dataset, self.protocol


@dataclass(frozen=True)
class Statement:
    """The paper says that the sum of these terms is above 0.

    Example:
      >>> terms = Term(1, "gft", "3fold", "anet"), Term(-1, "gft", "3fold", "hog_svm")
      >>> Statement("ANet over HOG+SVM", "f1_frame", terms).metric
      'f1_frame'
    """

    text: str
    metric: str
    terms: tuple[Term, ...]


@dataclass(frozen=True)
class Verdict:
    """What the runs say of a statement; differences in points, of the seeds and of their mean.

    Example:
      >>> Verdict("ANet over HOG+SVM", "f1_frame", NOT_RUN).verdict
      'not run'
    """

    text: str
    metric: str
    verdict: str
    difference: float | None = None
    interval: tuple[float, float] | None = None
    by_seed: Mapping[int, float] | None = None


def statements() -> Iterator[Statement]:
    """Those of section IV that scores can answer, in its order.

    Example:
      >>> len(list(statements()))
      31
    """
    for dataset in scales.DATASETS:
        transfer, hog = Term(1, dataset, "cross", "anet_transfer"), Term(-1, dataset, "3fold", "hog_svm")
        yield Statement(f"{_NAMES[dataset]}: ANet-T over HOG+SVM", "f1_frame", (transfer, hog))
        anet, across = Term(1, dataset, "3fold", "anet"), Term(-1, dataset, "cross", "anet_transfer")
        yield Statement(f"{_NAMES[dataset]}: ANet over ANet-T", "f1_frame", (anet, across))
    for dataset in scales.DATASETS:
        for protocol in ("3fold", "10fold"):
            place = f"{_NAMES[dataset]}, {_NAMES[protocol]}"
            yield _over(place, "anet", "hog_svm", dataset, protocol, "f1_frame")
            for metric in ("f1_frame", "f1_event"):
                yield _over(place, "hybrid", "anet", dataset, protocol, metric)
            for other in ("cpm", "jpml"):
                yield _over(place, "hybrid", other, dataset, protocol, "f1_frame")
    for dataset in scales.DATASETS:
        more, fewer = Term(1, dataset, "10fold", "anet"), Term(-1, dataset, "3fold", "anet")
        yield Statement(f"{_NAMES[dataset]}: ANet, 10 folds over 3", "f1_frame", (more, fewer))
        for other in ("hog_svm",):
            lost = Term(-1, dataset, "10fold", other), Term(1, dataset, "3fold", other)
            text = f"{_NAMES[dataset]}: 10 folds over 3, more for ANet than for {display.label(other)}"
            yield Statement(text, "f1_frame", (more, fewer, *lost))
    for protocol in ("3fold", "10fold"):
        terms = [Term(1, "bp4d", protocol, "hybrid"), Term(-1, "bp4d", protocol, "anet")]
        terms += [Term(-1, "gft", protocol, "hybrid"), Term(1, "gft", protocol, "anet")]
        text = f"{_NAMES[protocol]}: hybrid over ANet, more on BP4D than on GFT"
        yield Statement(text, "f1_frame", tuple(terms))
    anet, hog = Term(1, "bp4d", "3fold", "anet"), Term(-1, "bp4d", "10fold", "hog_svm")
    yield Statement("BP4D: ANet of 3 folds as good as HOG+SVM of 10", "f1_frame", (anet, hog))


def _over(place: str, one: str, other: str, dataset: str, protocol: str, metric: str) -> Statement:
    text = f"{place}: {display.label(one)} over {display.label(other)}"
    return Statement(text, metric, (Term(1, dataset, protocol, one), Term(-1, dataset, protocol, other)))


def judge(values: Sequence[float], replicates: Sequence[np.ndarray], level: float = LEVEL) -> tuple[str, float, tuple]:
    """Whether a difference is above 0, over seeds and people.

    Args:
      values: the difference of every seed, in points.
      replicates: [R] of every seed, over resampled people.
      level: of the interval of the mean over seeds.

    Returns:
      The verdict, the mean over seeds, and its interval. It holds where the interval lies above 0 and every seed agrees,
      and does not where the interval lies below 0 and every seed agrees.

    Example:
      >>> judge([2.0, 1.0], [np.array([1.0, 3.0]), np.array([0.5, 1.5])])[0]
      'holds'
    """
    mean = np.mean(np.stack(replicates), axis=0)
    low, high = np.nanquantile(mean, [(1 - level) / 2, (1 + level) / 2])
    difference = float(np.mean(values))
    verdict = UNKNOWN
    if low > 0 and min(values) > 0:
        verdict = HOLDS
    elif high < 0 and max(values) < 0:
        verdict = DOES_NOT
    return verdict, difference, (float(low), float(high))


Values = tuple[float, np.ndarray]
"""An average over AUs in percent, and its [R] replicates."""


class Runs:
    """The averages of finished runs, computed once.

    Args:
      out: folder of `experiments.reproduce`; seeds: its seeds.

    Example:
      >>> import tempfile
      >>> Runs(Path(tempfile.mkdtemp()), (0,)).average(Term(1, "bp4d", "3fold", "anet"), "f1_frame", 0) is None
      True
    """

    def __init__(self, out: Path, seeds: Sequence[int]):
        self._out, self.seeds = out, tuple(seeds)
        self._kept: dict[tuple, Values | None] = {}

    def average(self, term: Term, metric: str, seed: int) -> Values | None:
        """Of a term's system, without its sign; None where it has not been run."""
        key = (*term.run, term.system, metric, seed)
        if key not in self._kept:
            folds = self._folds(term, seed)
            self._kept[key] = None if folds is None else averages(folds, metric, seed)
        return self._kept[key]

    def _folds(self, term: Term, seed: int) -> dict[int, Scored] | None:
        suffix = "" if seed == self.seeds[0] else f"_seed{seed}"
        directory = RunDir(self._out / f"{term.dataset}_{term.protocol}{suffix}")
        if not (directory.path / "results.json").exists():
            return None
        results = directory.results(all_folds=True)
        if term.system not in results["systems"]:
            return None
        return {fold: read_scores(directory.score_path(fold, term.system)) for fold in results["folds"]["finished"]}


def averages(folds: Mapping[int, Scored], metric: str, seed: int, replicates: int = REPLICATES) -> Values:
    """The average over AUs of a metric on all people, and on resampled people.

    The same seed draws the same people, in order of their names, of every system and protocol.

    Args:
      folds: fold -> scores.
      metric: f1_frame or f1_event.
      seed: of the draws.
      replicates: how many.

    Example:
      >>> labels = np.array([[1], [1], [-1], [-1]], np.int8)
      >>> good = Scored({"S1/T1": labels * np.float32(0.5)}, {"S1/T1": labels}, {"S1/T1": np.arange(4)})
      >>> value, resampled = averages({0: good}, "f1_frame", seed=0, replicates=5)
      >>> value, resampled.tolist()
      (100.0, [100.0, 100.0, 100.0, 100.0, 100.0])
    """
    if metric == "f1_frame":
        by_subject, function, pool = subject_counts(folds), with_average(metrics.f1), metrics.pooled
    else:
        by_subject, function, pool = subject_event_counts(folds), with_average(events.f1_event), events.pooled_events
    in_order: list[Any] = [by_subject[subject] for subject in sorted(by_subject)]
    resampled = bootstrap.replicate(in_order, function, replicates, seed)
    return 100 * float(function(pool(in_order))[..., -1]), 100 * resampled[..., -1]


def verdict_of(statement: Statement, runs: Runs) -> Verdict:
    """What the runs say of a statement; seeds that lack one of its runs are left out."""
    values: dict[int, float] = {}
    replicates = []
    for seed in runs.seeds:
        found = [runs.average(term, statement.metric, seed) for term in statement.terms]
        if any(each is None for each in found):
            continue
        parts = [(term.weight, each) for term, each in zip(statement.terms, found, strict=True) if each is not None]
        values[seed] = sum(weight * value for weight, (value, _) in parts)
        replicates.append(np.sum([weight * resampled for weight, (_, resampled) in parts], axis=0))
    if not values:
        return Verdict(statement.text, statement.metric, NOT_RUN)
    verdict, difference, interval = judge(list(values.values()), replicates)
    return Verdict(statement.text, statement.metric, verdict, difference, interval, values)


def figure_verdicts(path: Path) -> Iterator[Verdict]:
    """Those of fig. 4: how often resampled people have fc7 below HOG, HOG below Gabor, in fig4_order.csv.

    Example:
      >>> [verdict.verdict for verdict in figure_verdicts(Path("nowhere.csv"))]
      ['not run', 'not run']
    """
    wanted = ("fc7 < HOG", "HOG < Gabor")
    if not path.exists():
        yield from (Verdict(f"fig. 4: {order}", "share", NOT_RUN) for order in wanted)
        return
    with path.open() as lines:
        for row in csv.DictReader(lines):
            if row["order"] in wanted:
                share, tail = float(row["share_of_resamplings"]), (1 - LEVEL) / 2
                verdict = HOLDS if share >= 1 - tail else DOES_NOT if share <= tail else UNKNOWN
                yield Verdict(f"fig. 4, {row['dataset']}: {row['order']}", "share", verdict, 100 * share)


def markdown(verdicts: Sequence[Verdict]) -> str:
    """A row for every statement.

    Example:
      >>> text = markdown([Verdict("A over B", "f1_frame", HOLDS, 2.0, (1.0, 3.0), {0: 2.5, 1: 1.5})])
      >>> text.splitlines()[-1]
      '|  A over B | F1-frame |   holds |       +2.0 | 1.0 to 3.0 | +2.5 / +1.5 |'
    """
    names = {"f1_frame": "F1-frame", "f1_event": "F1-event", "share": "share, %"}
    rows = [["statement", "metric", "verdict", "difference", "interval", "by seed"]]
    for each in verdicts:
        number = "" if each.difference is None else f"{each.difference:{'.0f' if each.metric == 'share' else '+.1f'}}"
        interval = "" if each.interval is None else f"{each.interval[0]:.1f} to {each.interval[1]:.1f}"
        seeds = "" if each.by_seed is None else " / ".join(f"{value:+.1f}" for value in each.by_seed.values())
        rows.append([each.text, names[each.metric], each.verdict, number, interval, seeds])
    return aligned(rows)


def judge_all(out: Path, seeds: Sequence[int]) -> list[Verdict]:
    """Judges all statements by the runs in a folder, and writes statements.md and statements.json there.

    Raises:
      CommandError: no folder, or none of the runs.
    """
    if not out.is_dir():
        raise CommandError(f"--out={out} is no folder; give the --out of experiments.reproduce")
    runs = Runs(out, seeds)
    verdicts = [verdict_of(statement, runs) for statement in statements()]
    if all(each.verdict == NOT_RUN for each in verdicts):
        names = ", ".join(f"{dataset}_{protocol}" for dataset in scales.DATASETS for protocol in scales.PROTOCOLS)
        raise CommandError(
            f"--out={out} has no finished run; it is looked for in {names}, as experiments.reproduce names them"
        )
    verdicts += figure_verdicts(out / "figures" / "fig4_order.csv")
    files.write_text(out / "statements.md", markdown(verdicts) + "\n")
    files.write_json(out / "statements.json", {"seeds": list(seeds), "statements": [asdict(each) for each in verdicts]})
    return verdicts


def main() -> None:
    """Runs the command line."""
    out = flags.DEFINE_string("out", None, "The --out of experiments.reproduce.", required=True)
    seeds = flags.DEFINE_list("seeds", ["0"], "Its --seeds.")
    run_command(lambda: print(markdown(judge_all(Path(out.value), [int(seed) for seed in seeds.value]))))


if __name__ == "__main__":
    main()
