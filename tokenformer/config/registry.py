"""Names that a user may write, and what they stand for: one registry for each kind of thing that has a name."""

import importlib
from collections import UserDict
from collections.abc import Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar, cast

from tokenformer.config.nearest import nearest_word
from tokenformer.config.plugins import load_installed_plugins
from tokenformer.errors import UserError

Entry = TypeVar("Entry")


class Named(Protocol):
    """Carries its own name: an object, or a class with the attribute."""

    @property
    def name(self) -> str: ...


REGISTRIES: dict[str, "Registry"] = {}
"""Kind -> registry, of every room that has been imported."""


class Registry(UserDict, Generic[Entry]):
    """Name -> entry, in the order in which messages and pages list them.

    An entry that stands as "module:attribute" is imported when it is first asked for, so that a heavy module does not
    slow the names down. Where a section of the YAML names an entry, the entry is a frozen dataclass, whose fields are
    the other keys of that section (see `key`).
    """

    def __init__(
        self,
        kind: str,
        entries: Mapping[str, Entry | str] | None = None,
        name_in: Callable[[Mapping], str] | None = None,
    ):
        """An empty registry, or one with entries.

        Args:
            kind: what an entry is, in the words of an error.
            name_in: finds the name in a section of the YAML where it does not stand under the key `name`.
        """
        super().__init__(entries or {})
        self.kind, self.name_in = kind, name_in
        REGISTRIES[kind] = self

    def enter(self, *entries: Entry) -> None:
        """Enters what carries its own `name`.

        Raises:
            UserError: another entry has the name already.
        """
        for entry in entries:
            name = cast(Named, entry).name
            if self.data.get(name, entry) is not entry:
                raise UserError(f"the {self.kind} {name!r} is there already; give the new one another name")
            self.data[name] = entry

    def __getitem__(self, name: str) -> Entry:
        entry = self.data[name]
        if isinstance(entry, str):
            module, _, attribute = entry.partition(":")
            entry = self.data[name] = getattr(importlib.import_module(module), attribute)
        return entry

    def find(self, name: Any, said: str = "") -> Entry:
        """The entry of that name.

        Args:
            said: what an error calls the wrong name; "" is "there is no KIND NAME".

        Raises:
            UserError: there is none; the message has the nearest name, and all.
        """
        if not isinstance(name, str) or name not in self.data:
            load_installed_plugins()
        if isinstance(name, str) and name in self.data:
            return self[name]
        near = nearest_word(name, self.data) if isinstance(name, str) else None
        guess = f"did you mean {near}? Choose" if near else "choose"
        raise UserError(f"{said or f'there is no {self.kind} {name!r}'}; {guess} one of {', '.join(self.data)}")
