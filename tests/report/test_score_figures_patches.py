"""The picture of JPML's patches: weights of the folds on one scale, and nothing for an AU without a classifier."""

import numpy as np
import pytest

from au_jax import files
from au_jax.errors import UserError
from au_jax.faces.registration import TEMPLATE
from au_jax.report import score_figures, style, write_report


@pytest.fixture
def workdir(tmp_path):
    """Two folds in which AU 1 has patches 3 and 30, AU 14 none, and the others all."""
    for fold in (0, 2):
        norms = np.random.default_rng(fold).random((49, 12)).astype(np.float32)
        norms[:, 0] = 0.0
        norms[3, 0], norms[30, 0] = 4.0, 1.0 if fold else 3.0
        norms[:, 7] = 0.0
        files.write_npz(tmp_path / f"fold_{fold:02d}" / "jpml" / "model.npz", {"patch_norms": norms})
    return tmp_path


def dots(drawing, number):
    """Places, weights and areas of an AU's dots."""
    (collection,) = drawing.figure.axes[number].collections
    return collection.get_offsets(), collection.get_array(), collection.get_sizes()


def test_weights_of_each_fold_are_divided_by_the_heaviest_and_averaged():
    norms = np.zeros((2, 49, 12))
    norms[0, :3, 4], norms[1, :3, 4] = [2.0, 1.0, 0.0], [0.1, 0.2, 0.0]
    weights = score_figures.importance(norms)
    np.testing.assert_allclose(weights[:3, 4], [0.75, 0.75, 0.0])
    assert not weights[:, [0, 11]].any()


def test_dots_stand_on_the_landmarks_in_use_as_large_as_they_weigh(workdir):
    with style.look():
        drawing = score_figures.draw_patches(workdir, (0, 2))
    places, weights, areas = dots(drawing, 0)
    np.testing.assert_allclose(places, TEMPLATE[[30, 3]])
    np.testing.assert_allclose(weights, [0.5, 1.0])
    assert areas[1] == pytest.approx(2 * areas[0])
    assert len(dots(drawing, 7)[1]) == 0 and len(dots(drawing, 11)[1]) == 49
    assert "AU 1 uses 2 of 49" in drawing.alt and "AU 14 uses 0 of 49" in drawing.alt
    titles = [axes.get_title() for axes in drawing.figure.axes[:12]]
    assert titles[0] == "AU 1  inner brow raiser" and titles[11] == "AU 24  lip pressor"


def test_the_drawn_lines_pass_all_landmarks():
    assert {point for line in score_figures._LINES for point in line} == set(range(49))


def test_the_report_shows_them_for_jpml_alone(workdir, drawn_faces, run_maker):
    for systems, expected in ((("hog_svm", "jpml"), True), (("hog_svm",), False)):
        write_report(workdir, **run_maker(workdir, drawn_faces, systems, (0, 2)))
        page = (workdir / "report.html").read_text()
        assert ("AU 1 uses 2 of 49" in page) == ('href="#facial-patches"' in page) == expected
    assert (workdir / "figures" / "patches.png").exists()


def test_a_model_that_is_gone_is_named_and_the_page_is_written(workdir, drawn_faces, run_maker):
    (workdir / "fold_02" / "jpml" / "model.npz").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"patches could not be drawn .*fold_02/jpml/model.npz is damaged"):
        write_report(workdir, **run_maker(workdir, drawn_faces, ("jpml",), (0, 2)))
    assert "This picture could not be drawn" in (workdir / "report.html").read_text()
