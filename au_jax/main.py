"""Trains and judges the systems of a config: `python -m au_jax.main --config=configs/demo.py --workdir=runs/demo`."""

import os
import sys
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf
from absl import app, flags, logging
from ml_collections import config_flags

from au_jax.errors import UserError
from au_jax.run import run

CONFIG = config_flags.DEFINE_config_file("config", None, "Config file, such as configs/demo.py.", lock_config=True)
WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; made, or gone on with.")
flags.mark_flags_as_required(["config", "workdir"])


def main(argv: Sequence[str]) -> None:
    """Runs a config in a workdir."""
    if len(argv) > 1:
        raise UserError(f"unknown argument {argv[1]!r}; options begin with --config. or --workdir")
    if not flags.FLAGS["verbosity"].present:
        # TFDS and Orbax tell every file that they write.
        logging.set_verbosity(logging.WARNING)
    # TensorFlow feeds the data only and must not take the accelerators' memory.
    tf.config.set_visible_devices([], "GPU")
    run(CONFIG.value, WORKDIR.value)


def report_errors(command) -> None:
    """Runs a command line; what a user can mend ends with one line and exit status 1."""
    try:
        app.run(command, flags_parser=_parse_flags)
    except UserError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {error.strerror}: {error.filename}; finished work is kept, run again once this is mended")


def _parse_flags(argv: Sequence[str]) -> list[str]:
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        raise UserError(f"{error}") from None
    except (AttributeError, KeyError, TypeError, ValueError, FileNotFoundError) as error:
        # ml_collections names the unknown field or the ill-typed value in its own error.
        raise UserError(" ".join(f"config: {error}".split())) from None


if __name__ == "__main__":
    report_errors(main)
