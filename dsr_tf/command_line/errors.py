"""What ends a command: each message is one sentence for its user."""


class UsageError(ValueError):
    """Input that the user must change."""


class RunError(RuntimeError):
    """A run that cannot go on."""
