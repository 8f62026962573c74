"""The picture of a comparison: a panel per protocol, every figure at its height, doubtful ones crossed."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from au_jax.evaluation.paper import TABLE_II
from au_jax.report import style
from au_jax.report.paper_table_files import draw_comparison
from au_jax.report.paper_tables import compare, read_runs


@pytest.fixture(scope="module")
def runs(tmp_path_factory, paper_run_maker):
    return read_runs(TABLE_II, [paper_run_maker(tmp_path_factory.mktemp("run"), "bp4d", "3fold")])


def _points(axes, marker, face=None):
    """Heights of the points with a marker, and with this colour inside."""
    lines = [line for line in axes.lines if line.get_marker() == marker]
    return [float(line.get_ydata()[0]) for line in lines if face is None or line.get_markerfacecolor() == face]


def test_every_figure_is_drawn_at_its_height(runs):
    comparison = compare(TABLE_II, runs, "f1_frame")
    with style.context():
        three, cross, ten = draw_comparison(comparison).figure.axes
    blue, hollow = style.system_series(["hybrid"])["hybrid"].colour, "white"
    assert _points(three, "o", blue) == [40.0 + au for au in (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24)] + [51.25]
    printed = TABLE_II.column("3fold", "hybrid")
    assert _points(three, "o", hollow) == [*printed.values, printed.average]
    # Crossed: AU 4 and AU 10 of the paper's hybrid in 3 folds, and both deep systems in 10 folds.
    assert _points(three, "x") == [71.4, 45.0]
    assert len(_points(ten, "x")) == 26
    assert _points(ten, "o", blue) == [] and _points(cross, "x") == []
    assert len(_points(cross, "P", hollow)) == 13
    # Whiskers of the first panel: three systems of ours.
    whiskers = [line.get_ydata() for line in three.lines if len(line.get_xdata()) == 2]
    np.testing.assert_allclose([high - low for low, high in whiskers], [10.0] * 39)


def test_a_metric_of_ours_has_the_panels_of_its_runs_and_no_hollow_points(runs):
    with style.context():
        (panel,) = draw_comparison(compare(TABLE_II, runs, "f1_norm")).figure.axes
    assert panel.get_title("left") == "3 folds"
    assert all(line.get_markerfacecolor() != "white" for line in panel.lines)


def test_svg_holds_the_words_and_is_the_same_again(runs):
    pictures = []
    for _ in range(2):
        with style.context():
            pictures.append(style.to_svg(draw_comparison(compare(TABLE_II, runs, "f1_frame"))))
    assert pictures[0] == pictures[1]
    words = " ".join(ElementTree.fromstring(pictures[0]).itertext())
    assert "synthetic faces: they are not comparable" in words
    assert "the difference, ours minus the paper's" in words
