"""How words become values, where a type alone does not say it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args

from tyro.conf import UseAppendAction, arg
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from tokenformer.corpora.options import parsed_parameters
from tokenformer.data.reading import InputSource
from tokenformer.evaluation.runners.batch_size import parse_batch_size

REGISTRY = ConstructorRegistry()


@REGISTRY.primitive_rule
def _input_source(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    if info.type is not InputSource:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="PATH[=WEIGHT]",
        instance_from_str=lambda words: InputSource.parse(words[0]),
        is_instance=lambda value: isinstance(value, InputSource),
        str_from_instance=lambda source: [str(source.path)],
    )


@REGISTRY.primitive_rule
def _optional(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """`T | None` reads a T; leaving the option out is the None."""
    kinds = [kind for kind in get_args(info.type) if kind is not NoneType]
    if info.type_origin not in (Union, UnionType) or len(kinds) != 1:
        return None
    spec = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(kinds[0], info.markers))
    if not isinstance(spec, PrimitiveConstructorSpec):
        return None
    return replace(
        spec,
        is_instance=lambda value: value is None or spec.is_instance(value),
        str_from_instance=lambda value: ["not", "given"] if value is None else spec.str_from_instance(value),
    )


def _repeated(metavar: str, nargs: Any, instance_from_str: Any) -> PrimitiveConstructorSpec:
    """An option that may stand several times, each time with words that make one part of its value."""
    return PrimitiveConstructorSpec(
        nargs=nargs,
        metavar=metavar,
        instance_from_str=instance_from_str,
        is_instance=lambda value: isinstance(value, Mapping | Sequence),
        str_from_instance=lambda value: [str(value)],
        _action="append",
    )


@dataclass(frozen=True)
class Verified:
    """The option of verbs that open checkpoints and prepared corpora."""

    verify: Annotated[bool, arg(help_behavior_hint="")] = field(default=True, kw_only=True)
    """Do not compare checkpoints and corpora with their checksums."""


Paths = Annotated[Sequence[InputSource], arg(metavar="PATH[=WEIGHT] ...", help_behavior_hint="")]
Assignments = Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="KEY=VALUE")]
LanguageParameters = (_repeated("KEY=NUMBER", 1, parsed_parameters), arg(name="set"))
Tasks = _repeated("TASK ...", "*", lambda words: tuple(name.strip() for names in words for name in names.split(",")))
BatchSize = PrimitiveConstructorSpec(
    nargs=1,
    metavar="auto|ROWS",
    instance_from_str=lambda words: parse_batch_size(words[0]),
    is_instance=lambda value: value is None or isinstance(value, int),
    str_from_instance=lambda value: ["auto" if value is None else str(value)],
)
