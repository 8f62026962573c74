"""The walk-through runs as it stands, on a small run, and comes to what the run says."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from au_jax import files

pytestmark = pytest.mark.optax


def test_every_cell_runs_and_agrees_with_the_run(finished, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("AU_JAX_RUN", str(finished))
    monkeypatch.setenv("AU_JAX_PICTURE", str(tmp_path / "picture.png"))
    path = Path(__file__).parents[2] / "experiments" / "walkthrough.py"
    after = runpy.run_path(str(path))
    told = files.read_json(finished / "results.json")["systems"][after["best"]]["f1_frame"]
    assert after["average"] == pytest.approx(told["average"], abs=1e-3)
    np.testing.assert_allclose(
        after["f1"], [np.nan if value is None else value for value in list(told.values())[:12]], atol=1e-3
    )
    assert after["faces"].shape == (len(after["truth"]), 40, 40, 3)
    assert after["difference"] <= 1e-5
    assert "threshold +0.5:" in capsys.readouterr().out
    assert Image.open(tmp_path / "picture.png").size == (800, 250)
    # Each cell begins with what it does.
    cells = [line for line in path.read_text().splitlines() if line.startswith("# %%")]
    assert len(cells) >= 8 and all(len(line) > 20 for line in cells)
