"""What all commands share: flags, quiet libraries, and mistakes told in one line."""

import re
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

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


def optional_path(text: str | None) -> Path | None:
    """The path that a flag names, None where it is not given."""
    return Path(text) if text else None


def _unraisable(found: Any) -> None:
    # Where one of a checkpoint's files cannot be written, TensorStore reports the others to a loop that is gone.
    if str(found.exc_value) != "Event loop is closed":
        sys.__unraisablehook__(found)


def _parse_flags(argv: Sequence[str]) -> list[str]:
    if "config" in flags.FLAGS:
        _refuse_absent_config(argv)
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        raise UserError(_flag_mistake(error)) from None
    except (AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        raise UserError(_config_mistake(error, argv)) from None
    except SystemExit as ended:
        # absl ends --help as a failure.
        sys.exit(0 if ended.code == 1 else ended.code)


def _refuse_absent_config(argv: Sequence[str]) -> None:
    # ml_collections tells of an absent file in four lines, and only when the config is first used.
    for word, following in zip(argv, [*argv[1:], ""], strict=True):
        if match := re.fullmatch("--?config(?:=(.*))?", word):
            path = Path((following if match[1] is None else match[1]).partition(":")[0])
            if not path.is_file():
                place = "" if path.is_absolute() else f" in {Path.cwd()}"
                raise UserError(f"there is no config file {path}{place}; run from the project's folder or give a path")


def _flag_mistake(error: flags.Error) -> str:
    text = str(error)
    if missing := re.findall(r"Flag --(\S+) must have a value other than None", text):
        return "; ".join(f"flag --{name} must have a value: {flags.FLAGS[name].help.rstrip('.')}" for name in missing)
    if "Traceback (most recent call last)" in text and error.__context__ and error.__context__.__context__:
        # ml_collections prints the traceback of what the config file raised into the text.
        raised = error.__context__.__context__
        last = traceback.extract_tb(raised.__traceback__)[-1]
        meant = (last.line or "").startswith("raise ")
        return f"{text.partition(': ')[0]}: {raised}" + ("" if meant else f" ({last.filename}, line {last.lineno})")
    return " ".join(text.split())


def _config_mistake(error: Exception, argv: Sequence[str]) -> str:
    # ml_collections names the part that is unknown, and the nearest one, quoted once or twice: 'epoch' Did you mean "epochs" ...
    text = " ".join(str(error.args[0] if error.args else error).split())
    unknown = re.match(r"""["'\\]+(\w+)["'\\]+(?:.*Did you mean "(\w+)")?""", text)
    part = rf"\.{unknown[1]}(?=\.|$)" if unknown else "$^"
    option = next((name for name in (word.partition("=")[0] for word in argv) if re.search(part, name)), None)
    if unknown is None or option is None:
        return f"config: {text}"
    nearest = f"did you mean {re.sub(part, f'.{unknown[2]}', option)}? " if unknown[2] else ""
    return f"there is no field {option}; {nearest}python -m au_jax.main --config=... --fields lists them all"
