"""Damaged files of a run: refused in one line, passed over, or made again."""

import json

import numpy as np
import pytest

from au_jax import files
from au_jax.config import load
from au_jax.errors import UserError
from au_jax.logs import read_metrics
from au_jax.run_dir import RunDir
from au_jax.training.best_params import best_params

from .conftest import amounts, mutate

METRICS = "".join(
    json.dumps({"stage": stage, "epoch": epoch, "train_loss": 0.1 * epoch}) + "\n"
    for stage in ("fold_00/anet/cnn", "fold_00/hybrid/lstm")
    for epoch in range(4)
)


@amounts(usual=20, slow=150)
def test_damaged_files_of_a_run_are_one_line_or_do_no_harm(tmp_path, seeds):
    config = load("demo:smoke").to_json_best_effort()
    for seed in seeds:
        generator = np.random.default_rng([seed, 41])
        (tmp_path / "logs").mkdir(exist_ok=True)
        (tmp_path / "config.json").write_bytes(mutate(config.encode(), generator))
        (tmp_path / "logs/metrics.jsonl").write_bytes(mutate(METRICS.encode(), generator))
        (tmp_path / "finished.json").write_bytes(mutate(b'{\n "best_epoch": 3,\n "loss": 0.5\n}\n', generator))
        for read in (lambda: RunDir(tmp_path).config(), lambda: best_params(tmp_path)):
            try:
                read()
            except UserError as error:
                assert "\n" not in str(error), seed
        for rows in read_metrics(tmp_path).values():
            assert all(isinstance(row["epoch"], int | float | str | bool) for row in rows), seed


@pytest.mark.parametrize("content", ["[]", "3", "null", '"x"'])
def test_a_config_of_another_shape_is_one_line(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(UserError, match="config.json holds"):
        RunDir(tmp_path).config()


def test_json_that_is_no_text_is_named(tmp_path):
    (tmp_path / "split.json").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"split\.json is damaged"):
        files.read_json(tmp_path / "split.json")
