"""The GPU's day: what is measured is written at once, what takes too long is skipped with a line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from au_jax.errors import CommandError
from experiments import gpu_day, gpu_fold, gpu_parts
from experiments.gpu_parts import Row, Spec

_ROOT = Path(gpu_day.__file__).parents[1]
_DEVICE = {"device": "NVIDIA H200", "backend": "gpu", "versions": {"jax": "0.11.2"}}


def _row(part, precision, rate, by="ours", work=None, unit="frames/s", note=""):
    return {"part": part, "precision": precision, "by": by, "unit": unit, "rate": rate, "work": work, "note": note}


def _write(path, *lines):
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def test_groups_are_measured_in_order_and_one_that_takes_too_long_keeps_what_it_had(tmp_path):
    started = []

    def start(group, limit):
        started.append(group)
        assert limit <= gpu_day.BUDGETS[group]
        _write(tmp_path / f"{group}.jsonl", _DEVICE, _row(f"of {group}", "", 1.0))
        return {"cnn": -1, "lstm": 139}.get(group, 0)

    document = gpu_day.run_groups(tmp_path, 1000.0, "paper", start)
    assert started == list(gpu_day.BUDGETS)
    assert document["device"] == "NVIDIA H200"
    notes = {row["part"]: row["note"] for row in document["rows"]}
    assert list(notes) == [
        "of peak", "of cnn", "the rest of cnn", "of fold", "of lstm", "the rest of lstm", "of pytorch",
    ]  # fmt: skip
    assert notes["the rest of cnn"] == "skipped: it took longer than its time"
    assert notes["the rest of lstm"] == "skipped: its process ended with status 139"


def test_without_time_nothing_is_started(tmp_path):
    def start(group, limit):
        raise AssertionError(group)

    document = gpu_day.run_groups(tmp_path, gpu_day.GRACE / 2, "tiny", start)
    assert [row["note"] for row in document["rows"]] == ["skipped: no time was left"] * len(gpu_day.BUDGETS)


def test_all_groups_together_take_eight_minutes_at_most():
    assert sum(gpu_day.BUDGETS.values()) + gpu_day.GRACE <= 480


def test_the_papers_sizes_are_refused_without_a_gpu(tmp_path):
    def start(group, limit):
        _write(tmp_path / f"{group}.jsonl", {**_DEVICE, "device": "cpu", "backend": "cpu"})
        return 0

    with pytest.raises(CommandError, match="--scale=tiny"):
        gpu_day.run_groups(tmp_path, 1000.0, "paper", start)


def test_a_line_that_was_cut_off_is_not_taken(tmp_path):
    _write(tmp_path / "peak.jsonl", _DEVICE, _row("whole", "", 1.0))
    with open(tmp_path / "peak.jsonl", "a") as stream:
        stream.write('{"part": "cut')
    assert [line.get("part") for line in gpu_day._lines(tmp_path / "peak.jsonl")] == [None, "whole"]


def test_a_part_that_fails_and_one_without_time_are_lines_and_the_others_are_measured(tmp_path, monkeypatch):
    def fails(sizes):
        raise RuntimeError("out of\nmemory")

    clock = iter([0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 2.0, 99.0])
    parts = [Spec("a", "", "ours", fails), Spec("b", "", "ours", lambda sizes: Row("b", "", "ours", "x", 3.0))]
    monkeypatch.setitem(gpu_parts.PARTS, "cnn", [*parts, Spec("c", "", "ours", fails)])
    monkeypatch.setattr(gpu_day.time, "monotonic", lambda: next(clock))
    gpu_day.run_group("cnn", tmp_path, 10.0, "tiny")
    device, *rows = gpu_day._lines(tmp_path / "cnn.jsonl")
    assert device["backend"] == "cpu" and set(device["versions"]) == {"jax", "jaxlib", "flax", "torch"}
    assert [(row["part"], row["rate"], row["note"]) for row in rows] == [
        ("a", None, "failed: RuntimeError: out of memory"),
        ("b", 3.0, ""),
        ("c", None, "skipped: the 10 s of cnn were over"),
    ]


def test_the_table_has_ratios_shares_and_a_projection():
    rows = [
        _row("matrix product", "TF32", 400.0, work=4e14, unit="TFLOP/s"),
        _row("CNN training", "TF32", 20_000.0, work=1.4e14),
        _row("CNN training", "TF32", 10_000.0, by="PyTorch"),
        _row("LSTM", "TF32", None, note="failed: a | b"),
        _row("LSTM", "TF32", 7.0, by="PyTorch"),
        *(_row(stage.name, "", 1.0, unit="s", note="x") for stage in gpu_fold.STAGES),
    ]
    text = gpu_day.markdown({**_DEVICE, "scale": "paper", "rows": rows})
    assert "| CNN training | TF32 | frames/s | 20,000 | 10,000 | 2.00 | 35% |  |" in text
    assert "| LSTM | TF32 | frames/s |  | 7 |  |  | failed: a / b |" in text
    # 15 + 1 + 1 + 10 + 20 seconds a fold, ten folds.
    assert "takes 47 s, 10 one after the other 7.8 minutes; the goal of 15 is reached" in text
    assert "| PCA | 1 | x |" in text
    assert "cannot be projected" in gpu_day.projection({**_DEVICE, "scale": "paper", "rows": rows[:-1]})


def test_the_script_says_what_is_missing(tmp_path):
    python = tmp_path / "python"
    # A Python that finds none of the packages.
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S -I "$@"\n')
    python.chmod(0o755)
    done = subprocess.run(
        ["sh", _ROOT / "experiments/gpu_day.sh"],
        env={**os.environ, "PYTHON": str(python)},
        capture_output=True,
        text=True,
    )
    assert done.returncode and "lacks absl-py, flax, jax[cuda13]" in done.stderr


@pytest.mark.slow
def test_the_whole_script_runs_at_toy_size_without_tensorflow(tmp_path):
    blocked = tmp_path / "blocked"
    for name in ("tensorflow", "tensorflow_datasets"):
        (blocked / name).mkdir(parents=True)
        (blocked / name / "__init__.py").write_text("raise ImportError('blocked')")
    environment = {**os.environ, "PYTHON": sys.executable, "OUT": str(tmp_path), "PYTHONPATH": f"{blocked}:{_ROOT}"}
    script = ["sh", _ROOT / "experiments/gpu_day.sh", "--scale=tiny", "--seconds=2000"]
    subprocess.run(script, env=environment, check=True, capture_output=True)
    document = json.loads((tmp_path / "gpu_day/gpu_day.json").read_text())
    measured = {row["part"] for row in document["rows"] if row["rate"]}
    assert {gpu_parts.PRODUCT, gpu_parts.ON_DEVICE, gpu_parts.FOLDS} <= measured
    assert {stage.name for stage in gpu_fold.STAGES} <= measured
    assert "blocked" not in (tmp_path / "gpu_day/gpu_day.md").read_text()
    # cuDNN is NVIDIA's.
    failed = {row["part"] for row in document["rows"] if row["note"].startswith("failed") and row["by"] == "ours"}
    assert failed == {gpu_parts.CUDNN}
