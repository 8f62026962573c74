"""Options: fields of dataclasses that carry their meaning and their constraint, and the functions that read and check them.

`au_jax.config` declares every field of a run with `option`; a system of another package declares its own block in the same way:

    @dataclass(frozen=True, kw_only=True)
    class MyConfig(Block):
        neighbours: int = option(5, "Nearest neighbours that vote.", Interval(1))

To a type checker `neighbours` is an `int`. A block is read from an instance, from an `ml_collections.ConfigDict` or from a
mapping with the same fields.
"""

import abc
import dataclasses
import functools
import math
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from ml_collections import ConfigDict

from au_jax.errors import ConfigError

T = TypeVar("T")


class Block(abc.ABC):  # noqa: B024
    """Base of a dataclass of options. A ConfigDict passes for an instance of every block, as its fields are read alike.

    Example:
      >>> isinstance(ConfigDict({"neighbours": 5}), Block), isinstance({"neighbours": 5}, Block)
      (True, False)
    """

    @classmethod
    def __subclasshook__(cls, other: type) -> Any:
        return True if issubclass(other, ConfigDict) else NotImplemented


@typing.runtime_checkable
class Constraint(typing.Protocol):
    """What a value must satisfy; `words` says it after the type, such as "at least 1".

    Example:
      >>> isinstance(Interval(1), Constraint), Interval(1).words, Interval(1).allows(0)
      (True, 'at least 1', False)
    """

    @property
    def words(self) -> str: ...

    def allows(self, value: Any) -> bool:
        """Whether a value of the right type satisfies the constraint."""
        ...


@dataclass(frozen=True)
class Interval:
    """Numbers between two ends, which belong to it as `closed` says: both, low, high or neither.

    Example:
      >>> Interval(0, 1, closed="low").words
      'at least 0 and below 1'
    """

    low: int | float = -math.inf
    high: int | float = math.inf
    closed: typing.Literal["both", "low", "high", "neither"] = "both"

    def allows(self, value: int | float) -> bool:
        """Whether a number lies in the interval."""
        above = value >= self.low if self.closed in ("both", "low") else value > self.low
        return above and (value <= self.high if self.closed in ("both", "high") else value < self.high)

    @property
    def words(self) -> str:
        """The ends, in words."""
        low = f"{'at least' if self.closed in ('both', 'low') else 'above'} {self.low:.10g}"
        high = f"{'at most' if self.closed in ('both', 'high') else 'below'} {self.high:.10g}"
        return " and ".join([low] * (self.low > -math.inf) + [high] * (self.high < math.inf))


@dataclass(frozen=True)
class Choices:
    """One of a few values.

    Example:
      >>> Choices("adam", "sgd").words, Choices("adam", "sgd").allows("lamb")
      ('one of adam, sgd', False)
    """

    values: tuple[Any, ...]

    def __init__(self, *values: Any):
        object.__setattr__(self, "values", values)

    def allows(self, value: Any) -> bool:
        """Whether it is one of them."""
        return value in self.values

    @property
    def words(self) -> str:
        """The choices, in words."""
        return f"one of {', '.join(str(value) or repr(value) for value in self.values)}"


@dataclass(frozen=True)
class Each:
    """A tuple with at least `least` elements, all of which satisfy a constraint; `unique` forbids equal ones.

    Example:
      >>> each = Each(Interval(0), least=1, unique=True)
      >>> each.words
      'each at least 0, none twice, at least 1 of them'
      >>> each.allows((1, 2)), each.allows((1, 1)), each.allows(())
      (True, False, False)
    """

    of: Constraint | None = None
    least: int = 0
    unique: bool = False

    def allows(self, value: tuple[Any, ...]) -> bool:
        """Whether the tuple is long enough and every element allowed."""
        return (
            len(value) >= self.least
            and (not self.unique or len(set(value)) == len(value))
            and (self.of is None or all(self.of.allows(element) for element in value))
        )

    @property
    def words(self) -> str:
        """The elements and their number, in words."""
        parts = [f"each {self.of.words}"] if self.of else []
        parts += ["none twice"] * self.unique + [f"at least {self.least} of them"] * bool(self.least)
        return ", ".join(parts)


@dataclass(frozen=True)
class Where:
    """Whatever a predicate holds for; `words` says it.

    Example:
      >>> even = Where(lambda number: number % 2 == 0, "even")
      >>> even.allows(4), even.allows(3), even.words
      (True, False, 'even')
    """

    predicate: Callable[[Any], bool]
    words: str

    def allows(self, value: Any) -> bool:
        """Whether the predicate holds."""
        return self.predicate(value)


def option(default: T, meaning: str, constraint: Constraint | None = None) -> T:
    """Declares a field of a dataclass.

    Args:
      default: of the field's type.
      meaning: what it decides, its unit and the paper's value; one or more sentences.
      constraint: what a value must satisfy beyond its type.

    Example:
      >>> @dataclass(frozen=True)
      ... class Mine(Block):
      ...     neighbours: int = option(5, "Nearest neighbours that vote.", Interval(1))
      >>> Mine().neighbours, declared(Mine())["neighbours"].meaning
      (5, 'Nearest neighbours that vote.')
    """
    return dataclasses.field(default=default, metadata={"meaning": meaning, "constraint": constraint})


@dataclass(frozen=True)
class Declaration:
    """A declared field: its dotted name, type, default, meaning and constraint.

    Example:
      >>> rate = Declaration("rate", float, 0.1, "Step size.", Interval(0, closed="neither"))
      >>> rate.allowed
      'a number, above 0'
      >>> rate.check(-1.0)
      Traceback (most recent call last):
      au_jax.errors.ConfigError: config.rate is -1.0; give a number, above 0
    """

    name: str
    type: Any
    default: Any
    meaning: str
    constraint: Constraint | None

    @property
    def allowed(self) -> str:
        """Type and constraint in words, such as "a whole number, at least 1"."""
        words = self.constraint.words if self.constraint else ""
        if isinstance(self.constraint, Choices):
            return words
        return ", ".join(part for part in (_type_words(self.type), words) if part)

    def check(self, value: Any, prefix: str = "config.") -> None:
        """Checks type and constraint of a value.

        Raises:
          ConfigError: names the field, the value and what is allowed.
        """
        if _has_type(value, self.type):
            given = tuple(value) if isinstance(value, list) else value
            if self.constraint is None or self.constraint.allows(given):
                return
        what = "is empty" if value in ((), []) else f"is {_short(value)}"
        remedy = f"choose {self.allowed}" if isinstance(self.constraint, Choices) else f"give {self.allowed}"
        raise ConfigError(f"{prefix}{self.name} {what}; {remedy}")


@functools.cache
def declared(default: Any) -> dict[str, Declaration]:
    """The fields of a block of defaults and of the blocks in it, by dotted name, in order of declaration.

    Example:
      >>> @dataclass(frozen=True)
      ... class Mine(Block):
      ...     neighbours: int = option(5, "Nearest neighbours that vote.", Interval(1))
      >>> declared(Mine())["neighbours"].allowed
      'a whole number, at least 1'
    """
    found: dict[str, Declaration] = {}
    types = typing.get_type_hints(type(default))
    for field in dataclasses.fields(default):
        value = getattr(default, field.name)
        if dataclasses.is_dataclass(value):
            for name, inner in declared(value).items():
                found[f"{field.name}.{name}"] = dataclasses.replace(inner, name=f"{field.name}.{name}")
        else:
            meaning, constraint = field.metadata.get("meaning", ""), field.metadata.get("constraint")
            found[field.name] = Declaration(field.name, types[field.name], value, meaning, constraint)
    return found


def leaves(default: Any, values: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted name and value of every field of `default`, read from `values`.

    Args:
      default: an instance of the block that declares the fields.
      values: the same block with other values, a ConfigDict or a mapping.
      prefix: of the names, for messages.

    Raises:
      ConfigError: a field is missing or unknown, or a section is none.

    Example:
      >>> @dataclass(frozen=True)
      ... class Mine(Block):
      ...     near: Interval = Interval(0, 5)
      ...     seed: int = 0
      >>> list(leaves(Mine(), {"seed": 3, "near": Interval(1, 2)}))
      [('near.low', 1), ('near.high', 2), ('near.closed', 'both'), ('seed', 3)]
    """
    given = items(values)
    if given is None:
        raise ConfigError(f"config.{prefix.rstrip('.')} is {_short(values)}; it is a section with fields of its own")
    names = [field.name for field in dataclasses.fields(default)]
    for name in given:
        if name not in names:
            raise ConfigError(f"there is no field config.{prefix}{name}; {_fields_of(prefix)}: {', '.join(names)}")
    for name in names:
        if name not in given:
            raise ConfigError(f"config.{prefix}{name} is missing; start from au_jax.get_config()")
        below = getattr(default, name)
        if dataclasses.is_dataclass(below):
            yield from leaves(below, given[name], f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", given[name]


def build(default: T, values: Any, prefix: str = "") -> T:
    """A block of the type of `default` with other values; lists become tuples, and whole numbers floats where a float is meant.

    Raises:
      ConfigError: a field is unknown or missing, or a value is of another type.

    Example:
      >>> @dataclass(frozen=True)
      ... class Mine(Block):
      ...     rate: float = 0.1
      ...     sizes: tuple[int, ...] = ()
      >>> build(Mine(), {"rate": 1, "sizes": [4, 2]})
      Mine(rate=1.0, sizes=(4, 2))
    """
    own, flat = declared(default), dict(leaves(default, values, prefix))

    def filled(block: Any, place: str) -> Any:
        new = {}
        for field in dataclasses.fields(block):
            name, value = f"{place}{field.name}", getattr(block, field.name)
            new[field.name] = filled(value, f"{name}.") if dataclasses.is_dataclass(value) else converted(name)
        return type(block)(**new)

    def converted(name: str) -> Any:
        value, kind = flat[f"{prefix}{name}"], own[name].type
        if not _has_type(value, kind):
            own[name].check(value, f"config.{prefix}")
        if typing.get_origin(kind) is tuple:
            return tuple(map(typing.get_args(kind)[0], value))
        return kind(value) if kind is float else value

    return filled(default, "")


def mutable(block: Any) -> ConfigDict:
    """A block as a ConfigDict with the same fields; tuples stay tuples.

    Example:
      >>> from au_jax.config import Config
      >>> config = mutable(Config())
      >>> config.data.raw = "recordings"
      >>> config.data.raw, Config().data.raw
      ('recordings', '')
    """
    return ConfigDict(
        {name: mutable(value) if dataclasses.is_dataclass(value) else value for name, value in _required(block).items()}
    )


def replace(block: T, **changes: Any) -> T:
    """A copy of a block or ConfigDict with other values; a name with dots reaches into the blocks within.

    Raises:
      ConfigError: there is no such field.

    Example:
      >>> from au_jax.config import Config
      >>> replace(Config(), **{"data.raw": "recordings", "seed": 3}).data.raw
      'recordings'
    """
    given = _required(block)
    for name, value in changes.items():
        first, _, rest = name.partition(".")
        if first not in given:
            raise ConfigError(f"there is no field {name!r}; there are: {', '.join(given)}")
        given[first] = replace(given[first], **{rest: value}) if rest else value
    if isinstance(block, ConfigDict):
        copy: Any = block.copy_and_resolve_references()
        with copy.unlocked(), copy.ignore_type():
            for name in {name.partition(".")[0] for name in changes}:
                copy[name] = given[name]
        return copy
    new: Any = type(block)
    return new(**given)


def to_dict(block: Any) -> dict[str, Any]:
    """A block, ConfigDict or mapping as JSON has it: nested dictionaries, and lists for tuples.

    Example:
      >>> to_dict({"sizes": (4, 2), "range": Interval(0, 1)})
      {'sizes': [4, 2], 'range': {'low': 0, 'high': 1, 'closed': 'both'}}
    """
    return {
        name: to_dict(value) if items(value) is not None else list(value) if isinstance(value, tuple) else value
        for name, value in _required(block).items()
    }


def flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    """The values below a block, ConfigDict or mapping by their dotted names.

    Example:
      >>> flat({"data": {"raw": "recordings"}, "seed": 3})
      {'data.raw': 'recordings', 'seed': 3}
    """
    below = {}
    for name, value in _required(tree).items():
        below |= {f"{prefix}{name}": value} if items(value) is None else flat(value, f"{prefix}{name}.")
    return below


def _required(block: Any) -> dict[str, Any]:
    given = items(block)
    if given is None:
        raise ConfigError(f"a section of a config is expected, not {_short(block)}")
    return given


def items(values: Any) -> dict[str, Any] | None:
    """The fields of a block, ConfigDict or mapping with their values; None for anything else.

    Example:
      >>> items(Interval(0, 1)), items(3)
      ({'low': 0, 'high': 1, 'closed': 'both'}, None)
    """
    if isinstance(values, ConfigDict | Mapping):
        return {str(name): value for name, value in values.items()}
    if dataclasses.is_dataclass(values) and not isinstance(values, type):
        return {field.name: getattr(values, field.name) for field in dataclasses.fields(values)}
    return None


def _fields_of(prefix: str) -> str:
    return f"config.{prefix.rstrip('.')} has" if prefix else "there are"


def _has_type(value: Any, kind: Any) -> bool:
    if typing.get_origin(kind) is tuple:
        return isinstance(value, tuple | list) and all(
            _has_type(element, typing.get_args(kind)[0]) for element in value
        )
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    if kind is float:
        return isinstance(value, int | float) and abs(value) < math.inf
    return isinstance(value, kind)


def _type_words(kind: Any) -> str:
    if typing.get_origin(kind) is tuple:
        inner = typing.get_args(kind)[0]
        return {int: "whole numbers", float: "numbers", str: "texts"}[inner] + " in brackets"
    return {int: "a whole number", float: "a number", bool: "True or False", str: "a text"}[kind]


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 100 else f"{text[:97]}..."
