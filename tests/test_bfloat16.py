"""A CNN that computes in bfloat16 comes out within the interval of the one in float32 (slow: CPUs emulate it)."""

import json
import subprocess

import pytest


@pytest.mark.slow
def test_average_f1_in_bfloat16_is_within_the_interval_of_float32(finished, main_command, tmp_path):
    options = ["--config.cnn.dtype=bfloat16", "--config.systems=('anet','hybrid')"]
    data = finished.parent / "data"
    subprocess.run(main_command(tmp_path / "bfloat16", data, *options), check=True, capture_output=True)
    float32, bfloat16 = (
        json.loads((run / "results.json").read_text())["systems"] for run in (finished, tmp_path / "bfloat16")
    )
    for name in ("anet", "hybrid"):
        low, high = float32[name]["intervals"]["f1_frame"]["average"]
        assert low <= bfloat16[name]["f1_frame"]["average"] <= high
        assert bfloat16[name]["f1_frame"] != float32[name]["f1_frame"]
