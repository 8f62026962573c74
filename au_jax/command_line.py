"""What all commands share: flags, quiet libraries, and mistakes told in one line.

A command module has a function `main` that defines its absl flags and calls `run_command`; importing the module defines none.
"""

import re
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from absl import app, flags, logging
from ml_collections import config_flags

from au_jax import console
from au_jax.config import RENAMED, config_names, find_file
from au_jax.errors import CommandError, ConfigError, UserError

# A flag that is defined here belongs to the command that asks for it: --help lists it there.
flags.disclaim_key_flags()

_HELP = ("--help", "-help", "--helpshort", "-helpshort", "-h", "-?")


def define_config_flag() -> flags.FlagHolder:
    """Defines the flags --config and --config.<field>; the value is a ConfigDict whose fields are fixed.

    Example:
      >>> config = define_config_flag()  # doctest: +SKIP
      >>> run_command(lambda: print(config.value.cnn.epochs))  # with --config=demo --config.cnn.epochs=3  # doctest: +SKIP
      3
    """
    config = config_flags.DEFINE_config_file(
        "config",
        None,
        f"Config: {', '.join(config_names())} or a file, such as configs/demo.py, and after a colon its variant.",
        lock_config=True,
    )
    flags.mark_flag_as_required("config")
    return config


def run_command(command: Callable[[], object], tensorflow: bool = False, resumes: bool = False) -> None:
    """Parses the flags and runs a command; a mistake that the user can mend ends with one line and exit status 1.

    absl's --verbosity below 0 keeps bars and plans off the terminal; from 0 on the libraries' own messages are shown as well.

    Args:
      command: called after the flags have been parsed; the docstring of its module is the command's help.
      tensorflow: whether the command uses TensorFlow, which then must not take the accelerators' memory.
      resumes: whether the command, started again, goes on where it stopped.

    Example:
      >>> seed = flags.DEFINE_integer("seed", 0, "Seed of the faces.")  # doctest: +SKIP
      >>> run_command(lambda: print(seed.value + 1))  # with --seed=4  # doctest: +SKIP
      5
    """

    def main(argv: Sequence[str]) -> None:
        if len(argv) > 1:
            raise CommandError(f"unknown argument {argv[1]!r}; options begin with --")
        if not flags.FLAGS["verbosity"].present:
            # TFDS and Orbax report every file that they write.
            logging.set_verbosity(logging.WARNING)
        console.set_quiet(bool(flags.FLAGS["verbosity"].present) and flags.FLAGS.verbosity < 0)
        if tensorflow:
            import tensorflow as tf

            tf.config.set_visible_devices([], "GPU")
        command()

    sys.unraisablehook = _unraisable
    try:
        app.run(main, flags_parser=lambda argv: _parse_flags(argv, command))
    except UserError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        what = ": ".join(str(part) for part in (error.strerror or error, error.filename) if part)
        kept = "finished work is kept, run again once this is mended"
        sys.exit(f"error: {what}; {kept if resumes else 'mend this and run again'}")
    except KeyboardInterrupt:
        sys.exit(f"error: interrupted{'; finished work is kept, run again to go on' if resumes else ''}")


def optional_path(text: str | None) -> Path | None:
    """The path that a flag names, None where it is not given.

    Example:
      >>> optional_path("runs/demo").name, optional_path(None), optional_path("")
      ('demo', None, None)
    """
    return Path(text) if text else None


def _unraisable(hook: Any) -> None:
    # Where one of a checkpoint's files cannot be written, TensorStore reports the others to a loop that is gone.
    if str(hook.exc_value) != "Event loop is closed":
        sys.__unraisablehook__(hook)


def _parse_flags(argv: Sequence[str], command: Callable[[], object]) -> list[str]:
    if any(word in _HELP for word in argv[1:]):
        # absl ends --help as a failure, and knows only the module that Python was started with.
        module = command.__module__
        listed = flags.FLAGS.main_module_help() if module == "__main__" else flags.FLAGS.module_help(module)
        # Its first line is the name of the module.
        options = listed.strip().partition("\n")[2]
        print(
            f"{(sys.modules[module].__doc__ or '').strip()}\n\n{options}\n\n--helpfull lists the libraries' flags too."
        )
        sys.exit(0)
    given = list(argv)
    if "config" in flags.FLAGS:
        _refuse_former_names(argv)
        given = [given[0], *_with_config_path(given[1:])]
    try:
        return flags.FLAGS(given)
    except flags.Error as error:
        # The config as it was written on the command line, not its path.
        text = _flag_mistake(error)
        for written, path in zip(argv, given, strict=True):
            text = (
                text.replace(path.removeprefix("--config="), written.removeprefix("--config="))
                if path != written
                else text
            )
        raise CommandError(text) from None
    except (AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        raise ConfigError(_config_mistake(error, argv)) from None


def _with_config_path(words: list[str]) -> list[str]:
    """The words of a command line with the path of a config file for its name: config_flags takes paths only."""
    words = list(words)
    for place, word in enumerate(words):
        if match := re.fullmatch("(--?config)(?:=(.*))?", word):
            if match[2] is not None:
                words[place] = f"{match[1]}={find_file(match[2])}"
            elif place + 1 < len(words):
                words[place + 1] = find_file(words[place + 1])
    return words


def _refuse_former_names(argv: Sequence[str]) -> None:
    for word in argv[1:]:
        name = re.sub("^--?config[.]", "", word.partition("=")[0])
        if word.startswith("-") and name in RENAMED:
            raise ConfigError(f"config.{name} is called config.{RENAMED[name]} now")


def _flag_mistake(error: flags.Error) -> str:
    text = str(error)
    if missing := re.findall(r"Flag --(\S+) must have a value other than None", text):
        return "; ".join(f"flag --{name} must have a value: {flags.FLAGS[name].help.rstrip('.')}" for name in missing)
    if "Traceback (most recent call last)" in text and error.__context__ and error.__context__.__context__:
        # ml_collections prints the traceback of what the config file raised into the text.
        raised = error.__context__.__context__
        last = traceback.extract_tb(raised.__traceback__)[-1]
        meant = isinstance(raised, UserError) or (last.line or "").startswith("raise ")
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
    return f"there is no field {option}; {nearest}au-jax train --config=... --fields lists them all"
