"""Our metrics beside a table of the paper (IV-C): the same rows and columns, differences, and what is doubtful.

The runs that stand beside the paper's are finished ones; the protocol and the dataset of each follow from its config.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from au_jax.errors import CommandError, DataError
from au_jax.evaluation.paper import PROTOCOLS, Column, Table
from au_jax.evaluation.tables import result_aus
from au_jax.labels import PAPER_AUS
from au_jax.run_dir import RunDir, defined

PROTOCOL_NAMES: dict[str, str] = {"3fold": "3 folds", "cross": "cross-dataset", "10fold": "10 folds"}
"""Names of the protocols for readers."""

_MADE_AFTER = {"bp4d_like": "bp4d", "gft_like": "gft"}


@dataclass(frozen=True)
class PaperRun:
    """A run, all folds of which are finished.

    Attributes:
      folder: where it lies.
      config: content of its config.json.
      results: content of its results.json.

    Example:
      >>> run = PaperRun(Path("runs/gft"), {"protocol": {"folds": 3}, "data": {"source": "gft"}}, {"systems": {"anet": {}}})
      >>> run.protocol
      '3fold'
    """

    folder: Path
    config: dict[str, Any]
    results: dict[str, Any]

    @property
    def protocol(self) -> str:
        """Which of the paper's protocols it follows.

        Raises:
          DataError: none of them.
        """
        # config.systems is that of the run's first start; the results hold all that were run since.
        if "anet_transfer" in self.results["systems"]:
            return "cross"
        folds = self.config["protocol"]["folds"]
        if folds not in (3, 10):
            raise DataError(
                f"{self.folder} has {folds} folds and no system anet_transfer; the paper's tables have 3 folds, 10 folds "
                "and the cross-dataset protocol only, so leave it out"
            )
        return f"{folds}fold"

    @property
    def dataset(self) -> str:
        """The dataset that its metrics are of, in small letters; a synthetic one counts as what it is made after."""
        data = self.config["data"]
        # Runs of before this field was there have none.
        name = data.get("stands_for") or (data["preset"] if self.is_synthetic else data["source"])
        return _MADE_AFTER.get(name, name).lower()

    @property
    def is_synthetic(self) -> bool:
        """Whether its faces were rendered."""
        return self.config["data"]["source"] == "synthfacs"

    def description(self) -> str:
        """Where its metrics come from, in a line."""
        config = self.config
        protocol, evaluation = config["protocol"], config["evaluation"]
        parts = [f"{self.folder}: {_faces(config['data'])}"]
        if self.protocol == "cross":
            parts.append(f"CNN trained on {_faces({**config['data'], **config['transfer']})}")
        parts += [
            f"{protocol['folds']} folds ({protocol.get('split', 'random')})",
            f"threshold {protocol['threshold']}",
            f"seed {self.results['seed']}",
            f"{100 * evaluation['level']:g} % intervals from {evaluation['bootstrap']} resamplings of subjects",
        ]
        return ", ".join(parts)


def read_run(folder: str | Path) -> PaperRun:
    """Reads a run, all folds of which are finished.

    Args:
      folder: of the run.

    Raises:
      DataError: it is no run, or not finished.

    Example:
      >>> read_run(run_folder).dataset
      'tiny'
    """
    return PaperRun(Path(folder), RunDir(folder).resolved_config(), RunDir(folder).results(all_folds=True))


def read_runs(table: Table, folders: Sequence[str | Path], *, any_dataset: bool = False) -> dict[str, PaperRun]:
    """Reads the runs that stand beside a table of the paper.

    Args:
      table: of the paper.
      folders: of the runs, one per protocol at most.
      any_dataset: take runs of other datasets too.

    Returns:
      Protocol -> run, in the paper's order.

    Raises:
      CommandError: no run, or two of one protocol.
      DataError: one that is not finished, not of this dataset, of no protocol of the paper's, or of none of its AUs.

    Example:
      >>> from au_jax.evaluation.paper import TABLE_I
      >>> read_runs(TABLE_I, [])
      Traceback (most recent call last):
      au_jax.errors.CommandError: --runs names no run; give the folders of finished ones: --runs=runs/a,runs/b
    """
    if not folders:
        raise CommandError("--runs names no run; give the folders of finished ones: --runs=runs/a,runs/b")
    runs: dict[str, PaperRun] = {}
    for folder in map(Path, folders):
        run = read_run(folder)
        if run.dataset != table.dataset.lower() and not any_dataset:
            raise DataError(
                f"{folder} is a run on {run.dataset}, and the paper's Table {table.number} is of {table.dataset}; leave it "
                "out, or show it all the same with --any_dataset"
            )
        if not set(result_aus(run.results)) & set(PAPER_AUS):
            raise DataError(
                f"{folder} has none of the AUs {', '.join(map(str, PAPER_AUS))} of the paper's tables; leave it out"
            )
        if run.protocol in runs:
            raise CommandError(
                f"{folder} and {runs[run.protocol].folder} both have the protocol {PROTOCOL_NAMES[run.protocol]}; "
                "name one of them only"
            )
        runs[run.protocol] = run
    return {protocol: runs[protocol] for protocol in PROTOCOLS if protocol in runs}


def _faces(data: dict[str, Any]) -> str:
    """The faces that a section `data` of a config describes, with what was changed about them."""
    if data["source"] != "synthfacs":
        level = f", present from level {data['level']}" if data.get("level") else ""
        return f"{data.get('name') or data['source']}{level}"
    sizes = "".join(f", {size} {data[size]}" for size in ("subjects", "videos", "frames") if data.get(size))
    return f"synthetic faces {data['preset']}{sizes}"


PAPER_METRICS: dict[str, str] = {"f1_frame": "F1-frame", "f1_norm": "F1-norm", "f1_event": "F1-event"}
"""Metrics that the paper speaks of."""

PRINTED = "f1_frame"
"""The metric of the paper's tables."""

ROWS: tuple[int | str, ...] = (*PAPER_AUS, "average")
"""Rows of the paper's tables."""

ALWAYS = "always_present"


@dataclass(frozen=True)
class ComparedCell:
    """One AU, or the average, of one system under one protocol, in percent; None where there is no number.

    Attributes:
      ours: our metric.
      low: lower bound of its interval.
      high: upper bound.
      paper: the paper's.
      difference: ours minus the paper's, in points.
      doubts: letters of the remarks on the paper's number.
      remarks: letters of the remarks on the difference.

    Example:
      >>> ComparedCell(ours=31.0, paper=40.3, difference=-9.3).low is None
      True
    """

    ours: float | None = None
    low: float | None = None
    high: float | None = None
    paper: float | None = None
    difference: float | None = None
    doubts: str = ""
    remarks: str = ""


@dataclass(frozen=True)
class ComparedColumn:
    """A system under a protocol, or always-present: a cell for each of `ROWS`.

    Attributes:
      protocol: key of `PROTOCOL_NAMES`.
      system: our name of the system.
      has_ours: whether one of our runs has it, be its metrics defined or not.
      cells: in the order of `ROWS`.

    Example:
      >>> ComparedColumn("3fold", "anet", True, (ComparedCell(ours=31.0),) * len(ROWS)).has_paper
      False
    """

    protocol: str
    system: str
    has_ours: bool
    cells: tuple[ComparedCell, ...]

    @property
    def has_paper(self) -> bool:
        """Whether the paper has this column."""
        return any(cell.paper is not None for cell in self.cells)


@dataclass(frozen=True)
class Comparison:
    """A table of the paper in one metric.

    Attributes:
      table: the paper's.
      metric: key of `PAPER_METRICS`.
      columns: always-present, then the systems, protocol by protocol.
      explanation: what the numbers are.
      warnings: what must be known before they are read.
      remarks: letter -> what is to be said about the cells that carry it.
      notes: where our metrics come from.

    Example:
      >>> from au_jax.evaluation.paper import TABLE_I
      >>> Comparison(TABLE_I, "f1_frame", (), "", (), {}, ()).title
      'F1-frame on GFT (Table I of the paper)'
    """

    table: Table
    metric: str
    columns: tuple[ComparedColumn, ...]
    explanation: str
    warnings: tuple[str, ...]
    remarks: Mapping[str, str]
    notes: tuple[str, ...]

    @property
    def title(self) -> str:
        """A heading."""
        return f"{PAPER_METRICS[self.metric]} on {self.table.dataset} (Table {self.table.number} of the paper)"

    @property
    def protocols(self) -> dict[str, list[ComparedColumn]]:
        """The columns of every protocol that has any."""
        grouped: dict[str, list[ComparedColumn]] = {}
        for column in self.columns:
            grouped.setdefault(column.protocol, []).append(column)
        return grouped


def compare(table: Table, runs: Mapping[str, PaperRun], metric: str) -> Comparison:
    """Puts the metrics of runs into the places of a table of the paper.

    Args:
      table: of the paper.
      runs: protocol -> run (`read_runs`).
      metric: key of `PAPER_METRICS`; the paper's numbers stand beside `PRINTED` only.

    Example:
      >>> from au_jax.evaluation.paper import TABLE_II
      >>> comparison = compare(TABLE_II, {}, "f1_frame")
      >>> comparison.title, comparison.columns[0].cells[-1].paper
      ('F1-frame on BP4D (Table II of the paper)', 32.5)
    """
    remarks = {_letter(number): doubt.reason for number, doubt in enumerate(table.doubts, 1)}
    partial = _letter(len(table.doubts) + 1)
    columns = []
    for protocol in PROTOCOLS:
        results = runs[protocol].results if protocol in runs else {"systems": {}}
        if protocol in runs:
            columns.append(ComparedColumn(protocol, ALWAYS, True, tuple(_ours(results[ALWAYS], metric))))
        for printed in table.columns:
            found = results["systems"].get(printed.system)
            if printed.protocol != protocol or (metric != PRINTED and found is None):
                continue
            cells = _ours(found, metric) if found else [ComparedCell()] * len(ROWS)
            if metric == PRINTED:
                cells = _beside(cells, printed, table, partial)
            columns.append(ComparedColumn(protocol, printed.system, found is not None, tuple(cells)))
    if any(partial in column.cells[-1].remarks for column in columns):
        remarks[partial] = "the difference of the averages over those AUs only of which both columns have a figure"
    return Comparison(
        table,
        metric,
        tuple(columns),
        _explanation(table, metric),
        tuple(_warnings(table, runs)),
        remarks if metric == PRINTED else {},
        tuple(_notes(table, runs, metric)),
    )


def _letter(number: int) -> str:
    return chr(ord("a") + number - 1)


def _ours(column: Mapping[str, Any], metric: str) -> list[ComparedCell]:
    values, intervals = column[metric], column["intervals"][metric]
    cells = []
    for row in map(str, ROWS):
        low, high = intervals.get(row, (None, None))
        cells.append(ComparedCell(defined(values.get(row)), defined(low), defined(high)))
    if len(values) != len(ROWS) or not all(str(row) in values for row in ROWS):
        # The run's own average is over other AUs.
        known = [cell.ours for cell in cells[:-1] if cell.ours is not None]
        cells[-1] = ComparedCell(round(float(np.mean(known)), 3) if known else None)
    return cells


def _beside(cells: Sequence[ComparedCell], printed: Column, table: Table, partial: str) -> list[ComparedCell]:
    """Adds the paper's numbers, the differences, and the letters of remarks; `partial` is that of the last one."""
    paper = [defined(value) for value in (*printed.values, printed.average)]
    ours = [cell.ours for cell in cells]
    both = [(a, b) for a, b in zip(ours[:-1], paper[:-1], strict=True) if a is not None and b is not None]
    completed = []
    for row, cell, own, theirs in zip(ROWS, cells, ours, paper, strict=True):
        doubts = "".join(_letter(number) for number in table.doubts_on(printed.protocol, printed.system, row))
        difference, remarks = (None if own is None or theirs is None else own - theirs), ""
        if row == "average" and 0 < len(both) < len(PAPER_AUS):
            # Averages over different AUs have no difference that means anything.
            difference, remarks = float(np.mean([own - theirs for own, theirs in both])), partial
        completed.append(
            ComparedCell(
                own,
                cell.low,
                cell.high,
                theirs,
                None if difference is None else round(difference, 3),
                # The paper's dash says nothing that could be doubted.
                doubts if theirs is not None else "",
                remarks,
            )
        )
    return completed


def _explanation(table: Table, metric: str) -> str:
    ours = f"{PAPER_METRICS[metric]} in percent, our figure with its interval by bootstrap over subjects"
    if metric == PRINTED:
        return (
            f"{ours}; the figure of the paper's Table {table.number} ({table.dataset}); and the difference, ours minus the "
            "paper's, in points."
        )
    return f"{ours}. The paper mentions {PAPER_METRICS[metric]} and prints no figure of it."


def _warnings(table: Table, runs: Mapping[str, PaperRun]) -> list[str]:
    synthetic = [PROTOCOL_NAMES[protocol] for protocol, run in runs.items() if run.is_synthetic]
    warnings = []
    if synthetic:
        warnings.append(
            f"Our figures ({', '.join(synthetic)}) are of synthetic faces: they are not comparable with the paper's and "
            "say nothing about real people."
        )
    for protocol, run in runs.items():
        if run.dataset != table.dataset.lower():
            warnings.append(f"Our figures ({PROTOCOL_NAMES[protocol]}) are of {run.dataset}, not of {table.dataset}.")
    return warnings


def _notes(table: Table, runs: Mapping[str, PaperRun], metric: str) -> list[str]:
    notes = []
    for protocol, run in runs.items():
        places = {column.system for column in table.columns if column.protocol == protocol}
        left_out = [name for name in run.results["systems"] if name not in places]
        definition = f", F1-norm as defined by {run.config['evaluation']['f1_norm']}" if metric == "f1_norm" else ""
        without = f"; not shown, for the paper has no such column: {', '.join(left_out)}" if left_out else ""
        notes.append(f"{PROTOCOL_NAMES[protocol]}: {run.description()}{definition}{without}.")
    return notes
