"""The table of growth: exponents, what is flat, and what is more than linear."""

import json

import pytest

from au_jax.errors import CommandError
from experiments import growth
from experiments.growth import GROWTHS
from experiments.growth_work import WORKS

_LINEAR = {str(size): {"seconds": 0.02 * size, "mib": 1.0} for size in (100, 320, 1000)}


def test_the_exponent_of_a_power_is_the_power():
    assert growth.exponents([1, 3, 10], [2.0, 18.0, 200.0]) == pytest.approx((2.0, 2.0))
    # A fixed cost hides half of it in the fit, less in the last step.
    fitted, last = growth.exponents([1, 3, 10], [101.0, 109.0, 200.0])
    assert fitted < last < 2


def test_a_decade_of_every_size_is_measured():
    assert {each.name for each in GROWTHS} == set(WORKS)
    for each in GROWTHS:
        assert each.sizes[-1] == 10 * each.sizes[0]


def test_what_grows_faster_than_linearly_is_told():
    square = {str(size): {"seconds": size**2, "mib": 100.0 * size} for size in (1, 3, 10)}
    lines = growth.markdown({"frames": _LINEAR, "people": square}).splitlines()
    assert lines[2] == "| predict | frames of a video | 100 | 1,000 | 2.00 to 20.00 | 1.00 | 1.00 | 1 to 1 | flat |  |"
    large = {size: {**point, "mib": 100.0} for size, point in _LINEAR.items()}
    assert "| 100 to 100 | flat |" in growth.markdown({"frames": large})
    assert lines[3].endswith("| 1 | 10 | 1.00 to 100.00 | 2.00 | 2.00 | 100 to 1000 | 1.00 | more than linear |")


def test_the_picture_names_the_exponents():
    drawing = growth.draw({"frames": _LINEAR})
    assert "frames of a video 1.00" in drawing.alt
    assert len(drawing.figure.axes) == 2


def test_what_is_measured_is_read_and_the_rest_is_measured(tmp_path, monkeypatch, capsys):
    begun = {"frames": _LINEAR, "aus": {"4": {"seconds": 1.0, "mib": 0.0}}}
    (tmp_path / "growth.json").write_text(json.dumps(begun))
    asked = []

    def measured(name, size, run, out):
        asked.append((name, size))
        return {"seconds": size / 4, "mib": 0.0}

    monkeypatch.setattr(growth, "_measured", measured)
    growth.growth("runs/demo", tmp_path, ["frames", "aus"])
    assert asked == [("aus", 13), ("aus", 40)]
    assert "| AUs | 4 | 40 | 1.00 to 10.00 | 1.00 |" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {"growth.json", "growth.md", "growth.png", "growth.svg"}


def test_an_unknown_size_is_refused(tmp_path):
    with pytest.raises(CommandError, match="--only names years"):
        growth.growth("runs/demo", tmp_path, ["years"])
