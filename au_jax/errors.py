"""The errors for what a user can mend: told in one line that says what was found, where, and what to do."""


class UserError(ValueError):
    """A mistake in input, config or surroundings; the commands print its line and end with exit status 1, without a traceback.

    Example:
      >>> str(UserError("there is no folder runs/x; name a run"))
      'there is no folder runs/x; name a run'
      >>> [issubclass(kind, UserError) for kind in (ConfigError, DataError, CommandError)]
      [True, True, True]
    """


class ConfigError(UserError):
    """A field of a config cannot be used; the line names the field and its choices or range.

    Example:
      >>> from au_jax.config import load
      >>> load("nowhere")  # doctest: +ELLIPSIS
      Traceback (most recent call last):
      au_jax.errors.ConfigError: there is no config file nowhere in ...
    """


class DataError(UserError):
    """Recordings, labels, a dataset or the files of a run are missing, damaged or do not fit; the line names the file.

    Example:
      >>> from au_jax.config import with_defaults
      >>> with_defaults({"colour": "red"})  # doctest: +ELLIPSIS
      Traceback (most recent call last):
      au_jax.errors.DataError: the run's config.json has a field colour, which this version does not know; ...
    """


class CommandError(UserError):
    """A flag of a command is missing or cannot be used.

    Example:
      >>> raise CommandError("unknown argument 'demo'; options begin with --")
      Traceback (most recent call last):
      au_jax.errors.CommandError: unknown argument 'demo'; options begin with --
    """
