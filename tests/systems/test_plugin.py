"""A seventh system from another package: plan, run, table, report and figures have it, without a change of au_jax."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from au_jax import files
from au_jax.run_dir import RunDir

PACKAGE = Path(__file__).parent / "plugin"


@pytest.fixture
def installed(tmp_path):
    """A folder in which the package lies as an installer lays it out."""
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    site = tmp_path / "site"
    facts = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in points.items())]
    (facts / "entry_points.txt").write_text("\n".join(lines) + "\n")
    (site / "au_base_rate.py").write_bytes((PACKAGE / "au_base_rate.py").read_bytes())
    return site


@pytest.fixture
def start(installed, main_command, finished, tmp_path):
    """Runs it beside HOG+SVM on the faces of the finished run; returns the ended command."""

    def call(*options):
        command = main_command(
            tmp_path / "run", finished.parent / "data", "--config.systems=('hog_svm','base_rate')", *options
        )
        paths = os.pathsep.join((str(installed), os.environ["PYTHONPATH"]))
        return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths})

    return call


def test_a_system_of_another_package_runs_from_the_plan_to_the_figures(start, finished, tmp_path):
    done = start("--config.base_rate.present_from=0.2")
    assert done.returncode == 0, done.stderr[-2000:]
    run = RunDir(tmp_path / "run")
    assert "  base rate: shares of 12 AUs, present from 0.2\n" in done.stdout
    assert run.resolved_config()["base_rate"] == {"present_from": 0.2}
    results = run.results(all_folds=True)
    assert list(results["systems"]) == ["hog_svm", "base_rate"]
    assert set(results["differences"]) == {"base_rate - hog_svm"}
    # Beside it, what is built in comes out as it does alone.
    assert results["systems"]["hog_svm"] == RunDir(finished).results()["systems"]["hog_svm"]
    shares = files.read_npz(run.fold(0) / "base_rate" / "model.npz")["shares"]
    scores = files.read_npz(run.score_path(0, "base_rate"))
    rows = next(rows for key, rows in scores.items() if key.endswith("/scores"))
    np.testing.assert_array_equal(rows, np.tile(shares - np.float32(0.2) - scores["thresholds"], (len(rows), 1)))
    head = run.table_path.read_text().splitlines()[2]
    assert "base_rate" in head or "base rate" in head, head
    page = run.report_path.read_text()
    assert "base_rate" in page or "base rate" in page
    figure = (run.figures / "f1_frame.svg").read_text()
    assert "base_rate" in figure or "base rate" in figure


def test_its_own_checks_are_made_before_any_work(start, tmp_path):
    done = start("--config.base_rate.present_from=2.0")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "error: config.base_rate.present_from is 2.0; give 0 to 1"
    assert not (tmp_path / "run").exists()


def test_its_label_and_colour_are_those_of_its_class(installed):
    program = (
        "from au_jax.systems import display, system_names\n"
        "assert system_names()[-1] == 'base_rate' and len(system_names()) == 7\n"
        "print(*display.look('base_rate'), sep='|')"
    )
    paths = os.pathsep.join((str(installed), str(Path(__file__).parents[2])))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths}
    )
    assert done.stdout == "base rate|#882255|h|:\n", done.stderr[-2000:]
