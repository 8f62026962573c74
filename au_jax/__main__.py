"""The command `au-jax`, and `python -m au_jax`: calls the command that its first argument names."""

import importlib
import sys

COMMANDS: dict[str, tuple[str, str]] = {
    "train": ("main", "train and evaluate the systems of a config"),
    "prepare": ("prepare", "register faces of raw recordings"),
    "predict": ("predict", "AUs of a video, with the models of a finished run"),
    "export": ("export", "the models of a finished run as one file"),
    "compare": ("compare", "results of several runs, side by side"),
    "agreement": ("agreement", "agreement of coders, or of coder and model"),
    "tables": ("tables", "the tables of finished runs"),
    "figures": ("figures", "the figures of finished runs"),
}
"""Command -> its module in au_jax, and what it does."""


def main() -> None:
    """Runs the command that `sys.argv` names.

    Raises:
      SystemExit: without a command, or with an unknown one; the text lists them all.
    """
    name, *rest = sys.argv[1:] or [""]
    if name not in COMMANDS:
        listed = "\n".join(f"  {command:9} {meaning}" for command, (_, meaning) in COMMANDS.items())
        usage = f"au-jax COMMAND [--option=value ...]; au-jax COMMAND --help lists its options\n{listed}"
        if name in ("--help", "-h", "help"):
            print(usage)
            sys.exit(0)
        sys.exit(f"error: {f'there is no command {name!r}' if name else 'a command is missing'}: {usage}")
    sys.argv = [f"au-jax {name}", *rest]
    importlib.import_module(f"au_jax.{COMMANDS[name][0]}").main()


if __name__ == "__main__":
    main()
