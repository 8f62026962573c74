"""Declared fields: what a constraint allows and says, and how blocks are read from other forms."""

import dataclasses
import math
from dataclasses import dataclass

import pytest
from ml_collections import ConfigDict

from au_jax.errors import ConfigError
from au_jax.options import (
    Block,
    Choices,
    Each,
    Interval,
    Where,
    build,
    declared,
    flat,
    leaves,
    mutable,
    option,
    replace,
    to_dict,
)


@dataclass(frozen=True, kw_only=True)
class Inner(Block):
    rate: float = option(0.5, "A rate.", Interval(0, 1, closed="low"))
    sizes: tuple[int, ...] = option((1, 2), "Sizes.", Each(Interval(1), least=1, unique=True))


@dataclass(frozen=True, kw_only=True)
class Outer(Block):
    name: str = option("a", "A name.", Choices("a", "b"))
    inner: Inner = dataclasses.field(default_factory=Inner)


@pytest.mark.parametrize(
    ("closed", "allowed"),
    [("both", (True, True)), ("low", (True, False)), ("high", (False, True)), ("neither", (False, False))],
)
def test_an_interval_has_the_ends_that_it_says(closed, allowed):
    interval = Interval(2, 3, closed=closed)
    assert (interval.allows(2), interval.allows(3)) == allowed
    assert interval.allows(2.5) and not interval.allows(1.9) and not interval.allows(3.1)
    assert not interval.allows(math.nan)


def test_words_of_constraints():
    assert Interval(1).words == "at least 1" and Interval(high=3, closed="low").words == "below 3"
    assert Choices("a", "").words == "one of a, ''"
    assert Each(Interval(1), least=2, unique=True).words == "each at least 1, none twice, at least 2 of them"


def test_elements_are_counted_compared_and_checked():
    each = Each(Interval(1), least=2, unique=True)
    assert each.allows((1, 2)) and not each.allows((1,)) and not each.allows((1, 1)) and not each.allows((0, 1))
    assert Where(lambda value: value % 2 == 0, "even").allows(4)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("inner.rate", 1.0, "config.inner.rate is 1.0; give a number, at least 0 and below 1"),
        ("inner.rate", True, "config.inner.rate is True; give a number, at least 0 and below 1"),
        ("inner.rate", math.inf, "config.inner.rate is inf; give a number, at least 0 and below 1"),
        (
            "inner.sizes",
            (),
            "config.inner.sizes is empty; give whole numbers in brackets, each at least 1, none twice, ",
        ),
        ("name", "c", "config.name is 'c'; choose one of a, b"),
    ],
)
def test_a_value_that_is_not_allowed_is_told_with_what_is(name, value, message):
    with pytest.raises(ConfigError) as caught:
        declared(Outer())[name].check(value)
    assert str(caught.value).startswith(message)


def test_a_block_is_built_alike_from_a_mapping_a_config_dict_and_a_block():
    values = {"name": "b", "inner": {"rate": 0, "sizes": [3]}}
    expected = Outer(name="b", inner=Inner(rate=0.0, sizes=(3,)))
    for given in (values, ConfigDict(values), expected):
        built = build(Outer(), given)
        assert built == expected and type(built.inner.rate) is float and type(built.inner.sizes) is tuple
    assert mutable(expected).inner.sizes == (3,)
    assert to_dict(expected) == {"name": "b", "inner": {"rate": 0.0, "sizes": [3]}}
    assert flat(expected) == {"name": "b", "inner.rate": 0.0, "inner.sizes": (3,)}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "a", "inner": {"rate": 0.1}}, "config.inner.sizes is missing"),
        ({"name": "a", "inner": 3}, "config.inner is 3; it is a section with fields of its own"),
        ({"name": "a", "inner": {"rate": 0.1, "sizes": (1,), "size": 1}}, "there is no field config.inner.size"),
    ],
)
def test_missing_unknown_and_flat_sections_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        list(leaves(Outer(), values))


def test_replacing_reaches_into_blocks_and_leaves_the_first_as_it_was():
    for block in (Outer(), mutable(Outer())):
        changed = replace(block, **{"inner.rate": 0.25, "name": "b"})
        assert (changed.inner.rate, changed.name, block.inner.rate, block.name) == (0.25, "b", 0.5, "a")
        with pytest.raises(ConfigError, match="there is no field 'rat'; there are: rate, sizes"):
            replace(block, **{"inner.rat": 1})
