"""Errors that a user can mend are of one family, which commands tell in a line; others keep their traceback."""

import pytest
from absl import flags

from au_jax import command_line
from au_jax.errors import CommandError, ConfigError, DataError, UserError


@pytest.mark.parametrize("kind", [CommandError, ConfigError, DataError, UserError])
def test_each_ends_a_command_with_its_line(monkeypatch, kind):
    monkeypatch.setattr("sys.argv", ["au-jax"])

    def command():
        raise kind("x is y; give z")

    with pytest.raises(SystemExit) as ended:
        command_line.run_command(command)
    flags.FLAGS.unparse_flags()
    assert ended.value.code == "error: x is y; give z"


def test_a_mistake_of_the_program_is_not_told_as_one_of_the_user(monkeypatch):
    monkeypatch.setattr("sys.argv", ["au-jax"])

    def command():
        raise ValueError("not meant for users")

    with pytest.raises(ValueError, match="not meant"):
        command_line.run_command(command)
    flags.FLAGS.unparse_flags()
    assert not issubclass(ConfigError, DataError) and not issubclass(DataError, CommandError)
