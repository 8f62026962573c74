"""The errors for what a user can mend: told in one line that says what was found, where, and what to do."""


class UserError(ValueError):
    """A mistake in input, config or surroundings; the commands print its line and end with exit status 1, without a traceback."""


class ConfigError(UserError):
    """A field of a config cannot be used; the line names the field and its choices or range."""


class DataError(UserError):
    """Recordings, labels, a dataset or the files of a run are missing, damaged or do not fit; the line names the file."""


class CommandError(UserError):
    """A flag of a command is missing or cannot be used."""
