"""The finished runs whose figures stand beside the paper's: the protocol and the dataset of each, and what is refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from au_jax.errors import UserError
from au_jax.evaluation.paper import PROTOCOLS, Table
from au_jax.report.finished import read_finished

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
    """

    folder: Path
    config: dict[str, Any]
    results: dict[str, Any]

    @property
    def protocol(self) -> str:
        """Which of the paper's protocols it follows.

        Raises:
          UserError: none of them.
        """
        # config.systems is that of the run's first start; the results hold all that were run since.
        if "anet_transfer" in self.results["systems"]:
            return "cross"
        folds = self.config["protocol"]["folds"]
        if folds not in (3, 10):
            raise UserError(
                f"{self.folder} has {folds} folds and no system anet_transfer; the paper's tables have 3 folds, 10 folds "
                "and the cross-dataset protocol only, so leave it out"
            )
        return f"{folds}fold"

    @property
    def dataset(self) -> str:
        """The dataset that its figures are of, in small letters; a synthetic one counts as what it is made after."""
        data = self.config["data"]
        # Runs of before this field was there have none.
        name = data.get("stands_for") or (data["preset"] if self.is_synthetic else data["source"])
        return _MADE_AFTER.get(name, name).lower()

    @property
    def is_synthetic(self) -> bool:
        """Whether its faces were rendered."""
        return self.config["data"]["source"] == "synthfacs"

    def description(self) -> str:
        """Where its figures come from, in a line."""
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


def read_runs(table: Table, folders: Sequence[str | Path], *, any_dataset: bool = False) -> dict[str, PaperRun]:
    """Reads the runs that stand beside a table of the paper.

    Args:
      table: of the paper.
      folders: of the runs, one per protocol at most.
      any_dataset: take runs of other datasets too.

    Returns:
      Protocol -> run, in the paper's order.

    Raises:
      UserError: no run, one that is not finished or not of this dataset, two of one protocol, one of no protocol.
    """
    if not folders:
        raise UserError("--runs names no run; give the folders of finished ones: --runs=runs/a,runs/b")
    runs: dict[str, PaperRun] = {}
    for folder in map(Path, folders):
        run = PaperRun(folder, *read_finished(folder))
        if run.dataset != table.dataset.lower() and not any_dataset:
            raise UserError(
                f"{folder} is a run on {run.dataset}, and the paper's Table {table.number} is of {table.dataset}; leave it "
                "out, or show it all the same with --any_dataset"
            )
        if run.protocol in runs:
            raise UserError(
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
