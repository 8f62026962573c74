"""The command of the paper's tables: each run goes to the table of its dataset, and mistakes are told in one line."""

import json
from pathlib import Path

import pytest

from au_jax import files
from au_jax.config import Config, load
from au_jax.errors import CommandError
from au_jax.report.paper_table_files import write_paper_tables


def _run(folder: Path, config: Config) -> Path:
    column = {"average": 40.0, "12": 40.0}
    metrics = {name: column for name in ("f1_frame", "f1_norm", "f1_event")}
    metrics |= {"intervals": {name: {key: [39.0, 41.0] for key in column} for name in metrics}}
    files.write_json(folder / "config.json", json.loads(config.to_json_best_effort()))
    folds = {"finished": [0, 1, 2], "all": 3}
    files.write_json(
        folder / "results.json", {"systems": {"anet": metrics}, "always_present": metrics, "folds": folds, "seed": 0}
    )
    return folder


@pytest.fixture
def runs(tmp_path):
    return [_run(tmp_path / "bp4d", load("bp4d:3fold")), _run(tmp_path / "gft", load("gft:3fold"))]


def test_both_tables_have_the_runs_of_their_dataset(runs, tmp_path):
    write_paper_tables("both", runs, tmp_path / "out")
    for number, own, other in (("I", "gft", "bp4d"), ("II", "bp4d", "gft")):
        text = (tmp_path / "out" / f"table_{number}_f1_frame.md").read_text()
        assert f"{tmp_path / own}:" in text and f"{tmp_path / other}:" not in text


def test_one_table_is_written_alone_and_none_is_refused(runs, tmp_path):
    write_paper_tables("2", runs[:1], tmp_path / "out")
    assert {path.name.split("_")[1] for path in (tmp_path / "out").iterdir()} == {"II"}
    write_paper_tables("both", runs[1:], tmp_path / "gft_only")
    assert {path.name.split("_")[1] for path in (tmp_path / "gft_only").iterdir()} == {"I"}
    document = files.read_json(runs[0] / "config.json")
    document["data"]["stands_for"] = "mine"
    files.write_json(runs[0] / "config.json", document)
    with pytest.raises(CommandError, match="no run is on GFT or BP4D"):
        write_paper_tables("both", runs[:1], tmp_path / "none")


@pytest.mark.parametrize("module", ["experiments.table2", "au_jax.tables"])
def test_the_command_tells_a_mistake_in_one_line(command, runs, tmp_path, module):
    result = command(module, f"--runs={tmp_path / 'nothing'}", f"--out={tmp_path / 'out'}")
    assert result.returncode == 1 and "is not a run" in result.stderr and "Traceback" not in result.stderr
