"""The error for what a user can mend."""


class UserError(ValueError):
    """A mistake in input, config or surroundings, told in one line: what was found, where, and what to do.

    `au_jax.main` and the other commands print the line and end with exit status 1, without a traceback.
    """
