"""What all commands share: flags, quiet libraries, and mistakes told in one line."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# TensorFlow only reads and decodes here, which oneDNN has no part in; it announces it with four lines.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import tensorflow as tf
from absl import app, flags, logging

from au_jax import console
from au_jax.errors import UserError


def run_command(command: Callable[[], object]) -> None:
    """Parses the flags and runs a command line; what a user can mend ends with one line and exit status 1.

    absl's --verbosity below 0 keeps bars and plans off the terminal; from 0 on the libraries tell what they do as well.
    """

    def main(argv: Sequence[str]) -> None:
        if len(argv) > 1:
            raise UserError(f"unknown argument {argv[1]!r}; options begin with --")
        if not flags.FLAGS["verbosity"].present:
            # TFDS and Orbax tell every file that they write.
            logging.set_verbosity(logging.WARNING)
        console.set_quiet(bool(flags.FLAGS["verbosity"].present) and flags.FLAGS.verbosity < 0)
        # TensorFlow feeds the data only and must not take the accelerators' memory.
        tf.config.set_visible_devices([], "GPU")
        command()

    sys.unraisablehook = _unraisable
    try:
        app.run(main, flags_parser=_parse_flags)
    except UserError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        what = ": ".join(str(part) for part in (error.strerror or error, error.filename) if part)
        sys.exit(f"error: {what}; finished work is kept, run again once this is mended")
    except KeyboardInterrupt:
        sys.exit("error: interrupted; finished work is kept, run again to go on")


def _unraisable(found: Any) -> None:
    # Where one of a checkpoint's files cannot be written, TensorStore reports the others to a loop that is gone.
    if str(found.exc_value) != "Event loop is closed":
        sys.__unraisablehook__(found)


def _parse_flags(argv: Sequence[str]) -> list[str]:
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        raise UserError(str(error)) from None
    except (AttributeError, KeyError, TypeError, ValueError, FileNotFoundError) as error:
        # ml_collections names the unknown field or the ill-typed value in its own error.
        raise UserError(" ".join(f"config: {error}".split())) from None
