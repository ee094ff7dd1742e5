"""The one error that a user is meant to read."""


class UserError(Exception):
    """Something in the user's input is wrong.

    The message names the file, key, layer or size at fault and the remedy. The command line prints the message alone,
    without a traceback, and exits with status 2.
    """


class MissingExtraError(UserError):
    """An optional dependency is needed that is not installed."""

    def __init__(self, package: str, extra: str, purpose: str):
        super().__init__(f"{purpose} needs the package '{package}': pip install 'tokenformer[{extra}]'")
