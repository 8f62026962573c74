"""The command `export`: one file, and a line that says what it holds."""

import pytest

from au_jax.inference import exported

pytestmark = pytest.mark.optax


def test_command_writes_the_file_and_says_what_it_holds(command, finished, tmp_path):
    done = command("au_jax.export", f"--run={finished}", f"--out={tmp_path / 'd.zip'}")
    assert done.returncode == 0, done.stderr
    assert "holds anet, hybrid of 2 folds for faces of 40 x 40" in done.stdout
    assert exported.load(tmp_path / "d.zip").notes["threshold"] == "calibrated"


def test_a_folder_that_is_no_run_is_told_in_one_line(command, tmp_path):
    done = command("au_jax.export", f"--run={tmp_path}", f"--out={tmp_path / 'd.zip'}")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "no config.json" in done.stderr.splitlines()[-1] and not (tmp_path / "d.zip").exists()
