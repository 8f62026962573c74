"""Who is meant is a word or a box, for all recordings or for one."""

import pytest

from au_jax.config import check_fields, load
from au_jax.errors import ConfigError
from au_jax.faces.person import is_persons, parse_person, parse_persons


@pytest.mark.parametrize("wrong", ["", "middle", "1,2,3", "1,2,0,4", "1,2,nan,4", "a,b,c,d", "1,2,3,4,5"])
def test_what_names_nobody_is_refused(wrong):
    with pytest.raises(ConfigError, match="give largest, left, right, anyone, or a box"):
        parse_person(wrong)


def test_recordings_may_mean_different_people():
    persons = parse_persons("001A=left; 001B/T2 = 10, 20, 30, 40 ;right")
    assert persons.of("001A", "T1") == "left" and persons.of("001B", "T1") == "right"
    assert persons.of("001B", "T2") == (10, 20, 30, 40)
    for twice in ("left; right", "a=left; a=right", "=left"):
        assert not is_persons(twice)


def test_the_config_checks_it():
    config = load("demo:smoke")
    config.data.person = "001A=middle"
    with pytest.raises(ConfigError, match=r"config.data.person is '001A=middle'; give a text, largest, left"):
        check_fields(config)
