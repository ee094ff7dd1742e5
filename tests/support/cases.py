"""Tables of cases: a row is written beside the test, whose own parameters name the columns."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from tokenformer.errors import UserError


def cases(*rows: Any, ids: Any = None) -> Callable:
    """Runs a test once for each row: a tuple of values for the test's last parameters, or one value for the last."""
    is_table = isinstance(rows[0], tuple)

    def decorate(test: Callable) -> Callable:
        names = list(inspect.signature(test).parameters)[-len(rows[0]) if is_table else -1 :]
        return pytest.mark.parametrize(names if is_table else names[0], rows, ids=ids)(test)

    return decorate


def refused(*rows: tuple, error: type[Exception] = UserError, ids: Any = None) -> Callable:
    """Runs a test once for each row; it passes where the error comes that the row ends with.

    Args:
        rows: values of the test's last parameters, and then the message: a regular expression, or a list of texts
            which all stand in the message.
    """

    def decorate(test: Callable) -> Callable:
        @functools.wraps(test)
        def refusing(message, **values):
            pattern, parts = (message, []) if isinstance(message, str) else (None, message)
            with pytest.raises(error, match=pattern) as caught:
                test(**values)
            missing = [part for part in parts if part not in str(caught.value)]
            assert not missing, f"{missing} is not in: {caught.value}"

        message = inspect.Parameter("message", inspect.Parameter.KEYWORD_ONLY)
        refusing.__signature__ = inspect.Signature([*inspect.signature(test).parameters.values(), message])
        return cases(*rows, ids=ids)(refusing)

    return decorate
