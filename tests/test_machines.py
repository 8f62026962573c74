"""A run on another processor rounds differently, and its averages stay where they are (slow).

The other processor is this one without its newer instructions: XLA's and NumPy's products are then summed in another order.
"""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

OTHER = {
    "XLA_FLAGS": "--xla_cpu_max_isa=AVX",
    "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX2 FMA3",
    "OPENBLAS_CORETYPE": "Sandybridge",
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the instructions that are left out are those of x86-64"),
]
ROOT = Path(__file__).parents[1]


def systems(run):
    """System -> its figures."""
    return json.loads((run / "results.json").read_text())["systems"]


def averages(run):
    """System -> average F1-frame."""
    return {name: figures["f1_frame"]["average"] for name, figures in systems(run).items()}


def test_average_f1_of_another_processor_is_within_the_interval_of_this_ones(finished, main_command, tmp_path):
    command = main_command(tmp_path / "other", tmp_path / "data", f"--config.compiled={tmp_path / 'compiled'}")
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **OTHER})
    here, there = averages(finished), averages(tmp_path / "other")
    for name, figures in systems(finished).items():
        low, high = figures["intervals"]["f1_frame"]["average"]
        assert low <= there[name] <= high, name
    # Where nothing is trained step by step, the difference does not grow.
    assert abs(here["hog_svm"] - there["hog_svm"]) <= 0.5
    # It was another processor: nearly all scores are others.
    with (
        np.load(finished / "fold_00/scores/anet.npz") as ours,
        np.load(tmp_path / "other/fold_00/scores/anet.npz") as theirs,
    ):
        names = [name for name in ours.files if name.endswith("/scores")]
        assert np.mean([np.mean(ours[name] != theirs[name]) for name in names]) > 0.5


def test_the_demos_averages_are_within_half_a_point(main_command, tmp_path):
    """Two whole demos, a quarter of an hour: networks that learn, which those of the small run hardly do."""
    for run, environment in (("here", {}), ("there", OTHER)):
        options = [f"--config={ROOT / 'configs/demo.py'}", f"--workdir={tmp_path / run}"]
        options += [f"--config.data.directory={tmp_path / 'data' / run}", "--config.evaluation.bootstrap=20"]
        command = [sys.executable, "-m", "au_jax.main", *options]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, **environment})
    here, there = averages(tmp_path / "here"), averages(tmp_path / "there")
    assert list(here) == list(there) == ["hog_svm", "anet", "hybrid"]
    for name in here:
        assert abs(here[name] - there[name]) <= 0.5, (name, here, there)
