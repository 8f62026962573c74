"""`au-jax train`: fields are listed as they are set, and a workdir is asked for."""

import subprocess
import sys


def test_the_fields_are_listed_as_they_are_set_and_need_no_workdir():
    command = [sys.executable, "-m", "au_jax", "train", "--config=demo"]
    done = subprocess.run([*command, "--fields", "--config.cnn.epochs=7"], capture_output=True, text=True, check=True)
    assert "--config.cnn.epochs=7    (default: 15)" in done.stdout
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 1 and "flag --workdir must have a value" in refused.stderr
