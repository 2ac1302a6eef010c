"""The failures a user can meet, each with the exit code of the command line.

A message names what was given, what is needed, and what to do. Programming mistakes are not listed here: they stay
ordinary Python exceptions and reach the user as a bug report.
"""


class NeuroGenError(Exception):
    """A job that could not be done, with a sentence for the user. `exit_code` is what the command line returns."""

    exit_code = 1


class UsageError(NeuroGenError):
    """The request makes no sense: an unknown option value, an output folder that is a file."""

    exit_code = 2


class InputRefused(NeuroGenError):
    """The given data cannot be used; nothing was written."""

    exit_code = 3


class ModelUnavailable(NeuroGenError):
    """A model is missing, corrupt, foreign or not meant for this input's task."""

    exit_code = 4


class OutOfMemory(NeuroGenError):
    """The device or the machine ran out of memory."""

    exit_code = 5


class SomeFailed(NeuroGenError):
    """A batch ended with at least one scan that failed."""

    exit_code = 6


class Cancelled(NeuroGenError):
    """The user stopped the job; nothing was left behind."""

    exit_code = 130
