"""Whatever a field is set to, check_fields passes it or says which field is wrong."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from au_jax.config import check_fields, fields, get_config
from au_jax.errors import ConfigError

DEFAULTS = {field.name: field.default for field in fields(get_config())}

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-3, 10),
    st.floats(),
    st.floats(-1, 2),
    st.text(max_size=8),
    st.sampled_from([value for value in DEFAULTS.values() if isinstance(value, str) and value]),
)
# ml_collections takes no name with a dot.
KEYS = st.text(st.characters(exclude_characters="."), max_size=3)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3).map(tuple), st.dictionaries(KEYS, SCALARS, max_size=2))


def like(default):
    """Values of the type of a default."""
    match default:
        case bool():
            return st.booleans()
        case int():
            return st.integers() | st.integers(-1, 300)
        case float():
            return st.floats() | st.floats(0, 1)
        case str():
            return st.text(max_size=8) | st.sampled_from(["adamw", "lion", "b1=0.8", "cosine_decay_schedule", "a", ""])
        case (first, *_):
            return st.lists(like(first), max_size=4).map(tuple)
        case _:
            return st.lists(st.integers(-1, 4), max_size=3).map(tuple)


def check_any_value(data):
    name = data.draw(st.sampled_from(sorted(DEFAULTS)))
    value = data.draw(VALUES | like(DEFAULTS[name]))
    config = get_config()
    section, _, last = name.rpartition(".")
    place = config
    for part in section.split(".") if section else ():
        place = place[part]
    with place.ignore_type():
        place[last] = value
    try:
        check_fields(config)
    except ConfigError as error:
        # Optimizers are checked as a whole; a number of folds may leave out one of config.folds.
        whole = name.partition("optimizer")[0] + "optimizer"
        assert f"config.{name}" in str(error) or ("optimizer" in name and f"config.{whole}" in str(error))
        assert "\n" not in str(error)


def examples(number):
    """Runs a test on so many examples, the same each time."""
    return settings(
        max_examples=number, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )


@pytest.mark.optax
@examples(150)
@given(data=st.data())
def test_any_value_of_any_field_passes_or_is_refused_with_its_name(data):
    check_any_value(data)


@pytest.mark.slow
@pytest.mark.optax
@examples(2000)
@given(data=st.data())
def test_many_values_of_all_fields_pass_or_are_refused_with_their_name(data):
    check_any_value(data)
