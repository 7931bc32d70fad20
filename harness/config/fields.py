"""What every key of the YAML carries: a description, what it affects, and why it may go unused."""

import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Lt
from pydantic import AllowInfNan, BaseModel, ConfigDict, Field, Strict
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

Effect = Literal["weights", "data", "generation"]
"""What a key can change: the adapter, the encoded rows, or the replies."""

PathKind = Literal["path", "model", "dataset", "function", "functions", "text", "json", "files"]
"""How a key that names a file is read; see :mod:`harness.config.paths`."""

# Strict: YAML has types of its own, and ``lora_r: true`` is a mistake, not the rank 1.
Int = Annotated[int, Strict()]
Number = Annotated[float, Strict(), AllowInfNan(False)]
Seed = Annotated[int, Strict(), Ge(0), Lt(2**32)]
Flag = Annotated[bool, Strict()]
Names = tuple[str, ...]


class Section(BaseModel):
    """Base of every part of the configuration: closed, frozen, built when first used."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


@dataclass(frozen=True)
class Traits:
    """What is known of a key besides its type."""

    affects: tuple[str, ...] = ()
    """Effects, each as ``effect`` or ``effect if other_key`` (counts only where that key is on)."""
    by_content: bool = False
    """The key names a file: its content is part of the cache keys, its name is not."""
    allowed: str | None = None
    """The allowed values in words, for the error message."""
    default_text: str | None = None
    """The default in words, where it follows from other keys."""
    unused: str | None = None
    """Why the key is accepted and never used."""
    package: str | None = None
    """The key works only with this package installed."""
    needs_cuda: str | None = None
    """The key works only with a CUDA GPU; what happens without one."""
    path: PathKind | None = None


def key(
    description: str,
    default: Any = PydanticUndefined,
    *,
    affects: str | tuple[str, ...] = (),
    by_content: bool = False,
    allowed: str | None = None,
    default_text: str | None = None,
    unused: str | None = None,
    package: str | None = None,
    needs_cuda: str | None = None,
    path: PathKind | None = None,
    factory: Callable[[dict[str, Any]], Any] | None = None,
    **constraints: Any,
) -> Any:
    """Declare one key; ``factory`` gets the values of the keys before it and returns the default."""
    traits = Traits(
        affects=(affects,) if isinstance(affects, str) else affects,
        by_content=by_content,
        allowed=allowed,
        default_text=default_text,
        unused=unused,
        package=package,
        needs_cuda=needs_cuda,
        path=path,
    )
    if factory is not None:
        constraints["default_factory"] = factory
    else:
        constraints["default"] = default
    return Field(description=description, json_schema_extra={"traits": traits}, **constraints)  # type: ignore[dict-item]


def traits_of(field: FieldInfo) -> Traits:
    """Return what :func:`key` recorded for ``field``."""
    extra = field.json_schema_extra
    found = extra.get("traits") if isinstance(extra, dict) else None
    return found if isinstance(found, Traits) else Traits()


def yaml_name(name: str, field: FieldInfo) -> str:
    """Return the name of ``field`` in the YAML."""
    return field.alias or name


def fields_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the keys of ``model`` by their YAML names, in the order of declaration."""
    return {yaml_name(name, field): field for name, field in model.model_fields.items()}


def section_of(field: FieldInfo) -> tuple[type[BaseModel], bool] | None:
    """Return the model that ``field`` holds and whether it holds several, or None for a plain value."""
    for candidate in _members(field.annotation):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate, False
        if get_origin(candidate) is tuple:
            inner = get_args(candidate)[0]
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                return inner, True
    return None


def _members(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
