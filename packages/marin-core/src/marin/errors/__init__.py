"""Base of every exception that Marin raises on purpose.

    MarinError                    exit code 1: the work failed
    ├── UsageError                2: the call, a file or a value given by the user is wrong
    ├── MissingRequirementError   3: something that is not installed is needed
    ├── marin.plugins.errors      2 or 3
    ├── marin.storage             StorageError 1
    ├── marin.cluster.errors      1, 2 or 4 (the cluster cannot be reached or cannot hold the job)
    └── marin.execution.errors    1 or 2

The message of a `MarinError` is complete for a person: it names what was given, what is allowed or
missing, and what to do. Commands print it as one line, without a traceback, and exit with `exit_code`.
"""

from typing import ClassVar

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells count it: 128 + SIGINT."""


class MarinError(Exception):
    """An error whose message can be shown to a user as it is."""

    exit_code: ClassVar[int] = 1
    """Exit status of a command that ends with this error."""


class UsageError(MarinError):
    """What the user gave (an option, a file, a value) is wrong; the message says what is allowed."""

    exit_code: ClassVar[int] = 2


class MissingRequirementError(MarinError):
    """A library that is not installed is needed; the message holds the install command."""

    exit_code: ClassVar[int] = 3
