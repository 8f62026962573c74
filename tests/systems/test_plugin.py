"""A seventh system from another package: plan, run, table, report and figures have it, without a change of au_jax."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from au_jax import config as configuration
from au_jax import files
from au_jax.run_dir import RunDir
from au_jax.systems import display, get_system, system_names

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
def arguments(main_command, prepared, tmp_path):
    """Makes the command line of a run of it beside HOG+SVM: (*further options) -> arguments."""
    systems = "--config.systems=('hog_svm','base_rate')"
    return lambda *options: main_command(tmp_path / "run", prepared, systems, *options)


@pytest.fixture
def in_process(installed, monkeypatch):
    """The package is on this process's path, for a while."""

    def forget():
        get_system.cache_clear()
        configuration._defaults.cache_clear()

    with monkeypatch.context() as patch:
        patch.syspath_prepend(installed)
        forget()
        yield
    sys.modules.pop("au_base_rate", None)
    forget()


def _cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_system_of_another_package_runs_from_the_plan_to_the_figures(arguments, installed, finished, tmp_path):
    paths = os.pathsep.join((str(installed), os.environ["PYTHONPATH"]))
    command = arguments("--config.base_rate.present_from=0.2")
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths})
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
    # Scores that are the same for every frame say nothing but how often an AU is present.
    slope, intercept = scores["calibration"]
    known = np.isfinite(slope)
    assert (slope[known] == 0).all() and np.isfinite(intercept[known]).all() and known.any()
    rows = next(rows for key, rows in scores.items() if key.endswith("/scores"))
    np.testing.assert_array_equal(rows, np.tile(shares - np.float32(0.2) - scores["thresholds"], (len(rows), 1)))
    # Its label, as its class gives it, stands beside HOG+SVM's in the table, on the page and in the figure, in its colour.
    average = f"{results['systems']['base_rate']['f1_frame']['average']:.1f}"
    rows = [_cells(line) for line in run.table_path.read_text().splitlines() if line.startswith("|")]
    head = next(row for row in rows if "base rate" in row)
    assert head.index("base rate") == head.index("HOG+SVM") + 1
    assert next(row for row in rows if row[0].startswith("average"))[head.index("base rate")].startswith(average)
    visible = re.sub(r"<script.*?</script>|<style.*?</style>", "", run.report_path.read_text(), flags=re.S)
    assert (
        re.search(r"<t[hd][^>]*>(<[^>]+>)*\s*base rate\s*<", visible) and "base_rate" not in run.table_path.read_text()
    )
    figure = (run.figures / "f1_frame.svg").read_text()
    assert "base rate" in figure and "#882255" in figure


def test_its_own_checks_are_made_before_any_work(in_process, command, arguments, tmp_path):
    done = command(*arguments("--config.base_rate.present_from=2.0")[2:])
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "error: config.base_rate.present_from is 2.0; give 0 to 1"
    assert not (tmp_path / "run").exists()


def test_it_stands_behind_the_built_in_ones_and_looks_as_its_class_says(in_process):
    assert system_names()[-1] == "base_rate"
    assert display.look("base_rate") == ("base rate", "#882255", "h", ":")
