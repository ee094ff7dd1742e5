"""How many rows of a forward pass a user asks for."""

from tokenformer.errors import UserError


def parse_batch_size(text: str) -> int | None:
    """ "auto" as None, or a number.

    Raises:
        UserError: neither.
    """
    if text.partition(":")[0] == "auto":
        return None
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise UserError(f"the batch size is auto or a number of 1 or more, not {text!r}")
