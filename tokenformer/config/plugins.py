"""Plug-ins: Python modules from outside of the package that enter something into its registries when they are imported.

A run names them under `plugins:`. A distribution that is installed may announce them, too, as entry points of the group
"tokenformer", and then nobody has to name them:

    [project.entry-points.tokenformer]
    my_plugin = "my_package.my_module"
"""

import importlib
from collections.abc import Iterable
from functools import cache
from importlib.metadata import entry_points

from tokenformer.errors import UserError

GROUP = "tokenformer"


def load_plugins(modules: Iterable[str], said_by: str) -> None:
    """Imports the modules.

    Args:
        said_by: the file that names them, for errors.

    Raises:
        UserError: one cannot be imported; the message names it.
    """
    for module in modules:
        _load(module, f"{said_by}: plugins: {module}", "install its package, or take it out of `plugins`")


@cache
def load_installed_plugins() -> None:
    """Imports what installed distributions announce, once a process.

    Raises:
        UserError: one cannot be imported; the message names it and its distribution.
    """
    for found in entry_points(group=GROUP):
        owner = found.dist.name if found.dist else "an unknown distribution"
        _load(
            found.module, f"the plug-in {found.name} ({found.module}) of {owner}", f"pip uninstall {owner}, or mend it"
        )


def _load(module: str, said: str, remedy: str) -> None:
    try:
        importlib.import_module(module)
    except UserError as error:
        raise UserError(f"{said}: {error}") from None
    except Exception as error:  # whatever a foreign module does wrong
        raise UserError(f"{said} cannot be imported: {type(error).__name__}: {error}; {remedy}") from error
