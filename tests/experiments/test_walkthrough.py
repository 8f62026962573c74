"""The walk-through runs as it stands, on a small run, and comes to what the run says."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from au_jax import files

pytestmark = pytest.mark.optax


PATH = Path(__file__).parents[2] / "experiments" / "walkthrough.py"


def test_every_cell_runs_and_agrees_with_the_run(finished, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("AU_JAX_RUN", str(finished))
    monkeypatch.setenv("AU_JAX_PICTURE", str(tmp_path / "picture.png"))
    after = runpy.run_path(str(PATH))
    told = files.read_json(finished / "results.json")["systems"][after["best"]]["f1_frame"]
    assert after["average"] == pytest.approx(told["average"], abs=1e-3)
    np.testing.assert_allclose(
        after["f1"], [np.nan if value is None else value for value in list(told.values())[:12]], atol=1e-3
    )
    assert after["faces"].shape == (len(after["truth"]), 40, 40, 3)
    assert after["difference"] <= 1e-5
    printed = capsys.readouterr().out
    assert "threshold +0.5:" in printed
    # The clip is neither the stillest nor the most active one, and its true shares stand beside those found.
    shares = {key: (labels > 0).mean() for key, labels in after["scored"].labels.items()}
    below = sum(share < shares[after["video"]] for share in shares.values())
    assert abs(below - len(shares) / 2) <= 1
    known = after["truth"][after["truth"][:, 6] != 0, 6]
    assert f" {100 * (after['found'][:, 6] > 0).mean():3.0f} {100 * (known > 0).mean():3.0f}\n" in printed
    assert Image.open(tmp_path / "picture.png").size == (800, 250)
    # Each cell begins with what it does.
    cells = [line for line in PATH.read_text().splitlines() if line.startswith("# %%")]
    assert len(cells) >= 8 and all(len(line) > 20 for line in cells)


@pytest.mark.parametrize(("option", "status"), [("--help", 0), ("--run=runs/demo", 1)])
def test_arguments_run_nothing_and_are_answered_with_the_usage(tmp_path, option, status):
    command = [sys.executable, "-m", "experiments.walkthrough", option]
    environment = {**os.environ, "PYTHONPATH": str(PATH.parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == status and "AU_JAX_RUN=runs/demo" in done.stdout
    assert done.stderr == ("" if status == 0 else "error: unknown argument '--run=runs/demo'; it takes none\n")
    assert not list(tmp_path.iterdir())
