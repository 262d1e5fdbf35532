"""The error that the user can fix."""


class InputError(ValueError):
    """Input that cannot be used. The message says what, where, what was found, and what to do.

    The frame of the stages and commands prints it without a traceback and exits with 1.
    """
