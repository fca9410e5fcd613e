"""What can be wrong with a plug-in.

    MarinError
    └── PluginError
        ├── UnknownPluginError       2: nothing of that name is installed
        ├── DuplicatePluginError     2: more than one distribution gives the name
        ├── PluginRequirementError   3: a library that it needs is not installed
        ├── PluginVersionError       3: a library that it needs is installed in another version
        └── BrokenPluginError        1: it cannot be imported, or is not what its group asks for

Each message names the plug-in and its distribution and says what to do.
"""

from marin.errors import MarinError, MissingRequirementError, UsageError


class PluginError(MarinError):
    """A plug-in cannot be used."""

    install_command: str | None = None
    """The command that puts it right, where there is one."""


class UnknownPluginError(PluginError, UsageError):
    """Nothing of that name is installed; the message lists near matches, all names, and who would provide it."""


class DuplicatePluginError(PluginError, UsageError):
    """More than one distribution gives the name; the message names them all."""


class PluginRequirementError(PluginError, MissingRequirementError):
    """A library that the plug-in needs is not installed."""


class PluginVersionError(PluginError, MissingRequirementError):
    """A library that the plug-in needs is installed in a version that it cannot use."""


class BrokenPluginError(PluginError):
    """The plug-in cannot be imported (the cause is kept), or is not what its group asks for."""
