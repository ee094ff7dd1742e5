"""Random numbers that depend on a name: not on the order of draws, the layout or the process."""

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def named_generator(*name: object) -> "torch.Generator":
    """A CPU generator of torch, seeded by a name alone.

    Args:
        name: parts of the name, such as a seed and the name of a parameter; a part has no colon, except the last.
    """
    import torch  # here, so that this module costs nothing to import

    digest = hashlib.sha256(":".join(map(str, name)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
