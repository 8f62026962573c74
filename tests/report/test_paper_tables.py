"""Our metrics in the places of the paper's tables: differences worked out by hand, doubts at the right cells, runs refused."""

import json

import pytest

from au_jax import files
from au_jax.errors import UserError
from au_jax.evaluation.paper import TABLE_I, TABLE_II
from au_jax.report.paper_tables import ROWS, ComparedCell, compare, read_runs


def _columns(comparison):
    return {(column.protocol, column.system): column for column in comparison.columns}


def _cell(comparison, protocol, system, row):
    return _columns(comparison)[protocol, system].cells[ROWS.index(row)]


@pytest.fixture
def bp4d_3fold(tmp_path, paper_run_maker):
    return read_runs(TABLE_II, [paper_run_maker(tmp_path / "run", "bp4d", "3fold")])


def test_columns_are_the_papers_with_always_present_first(bp4d_3fold):
    shown = [(column.protocol, column.system) for column in compare(TABLE_II, bp4d_3fold, "f1_frame").columns]
    assert shown == [("3fold", "always_present"), *((column.protocol, column.system) for column in TABLE_II.columns)]


def test_metrics_stand_beside_the_papers_with_the_difference(bp4d_3fold):
    comparison = compare(TABLE_II, bp4d_3fold, "f1_frame")
    # The paper prints 40.3 for ANet's AU 1, 48.6 for its average.
    assert _cell(comparison, "3fold", "anet", 1) == ComparedCell(31.0, 26.0, 36.0, 40.3, -9.3)
    assert _cell(comparison, "3fold", "anet", "average") == ComparedCell(41.25, 36.25, 46.25, 48.6, -7.35)
    assert _cell(comparison, "3fold", "always_present", 24) == ComparedCell(34.0, 29.0, 39.0)


def test_a_column_without_a_run_has_the_papers_figure_only(bp4d_3fold):
    comparison = compare(TABLE_II, bp4d_3fold, "f1_frame")
    for place in (("3fold", "cpm"), ("10fold", "hog_svm"), ("cross", "anet_transfer")):
        column = _columns(comparison)[place]
        assert column.has_paper and not column.has_ours
    assert _cell(comparison, "3fold", "cpm", 24) == ComparedCell(paper=37.8)


def test_doubts_are_at_their_cells_and_nowhere_else(bp4d_3fold):
    comparison = compare(TABLE_II, bp4d_3fold, "f1_frame")
    doubted = {
        (protocol, system, row): cell.doubts
        for (protocol, system), column in _columns(comparison).items()
        for row, cell in zip(ROWS, column.cells, strict=True)
        if cell.doubts
    }
    leaked = {("10fold", system, row): "b" for system in ("anet", "hybrid") for row in ROWS}
    assert doubted == {("3fold", "hybrid", 4): "a", ("3fold", "hybrid", 10): "a", **leaked}
    assert "exchanged" in comparison.remarks["a"]
    assert list(comparison.remarks) == ["a", "b"]


def test_averages_are_compared_over_the_aus_that_both_have(tmp_path, paper_run_maker):
    runs = read_runs(TABLE_I, [paper_run_maker(tmp_path, "gft", "3fold", {"cpm": 30.0, "hybrid": 40.0})])
    comparison = compare(TABLE_I, runs, "f1_frame")
    # The paper's CPM has no AU 4: its 11 figures add up to 530.5, ours without AU 4 to 11 x 30 + 131 = 461.
    assert _cell(comparison, "3fold", "cpm", 4) == ComparedCell(34.0, 29.0, 39.0)
    average = _cell(comparison, "3fold", "cpm", "average")
    assert (average.ours, average.paper) == (41.25, 48.2)
    assert average.difference == pytest.approx((461 - 530.5) / 11, abs=5e-4)
    assert (average.doubts, average.remarks) == ("b", "d")
    assert "those AUs only" in comparison.remarks["d"]
    assert _cell(comparison, "3fold", "hybrid", 12).doubts == "a"
    assert _cell(comparison, "3fold", "hybrid", "average").remarks == ""


def test_an_au_of_ours_that_never_occurs_is_left_out_of_the_average_too(tmp_path, paper_run_maker):
    folder = paper_run_maker(tmp_path, "bp4d", "3fold", {"anet": 30.0})
    results = files.read_json(folder / "results.json")
    results["systems"]["anet"]["f1_frame"]["24"] = None
    results["systems"]["anet"]["intervals"]["f1_frame"]["24"] = [None, None]
    files.write_json(folder / "results.json", results)
    comparison = compare(TABLE_II, read_runs(TABLE_II, [folder]), "f1_frame")
    assert _cell(comparison, "3fold", "anet", 24) == ComparedCell(paper=40.1)
    # Ours: 11 x 30 + 135 - 24 = 441; the paper's column without AU 24 adds up to 543.4.
    average = _cell(comparison, "3fold", "anet", "average")
    assert average.difference == pytest.approx((441 - 543.4) / 11, abs=5e-4)
    assert average.remarks == "c"


@pytest.mark.parametrize(("metric", "more"), [("f1_norm", 1.0), ("f1_event", 2.0)])
def test_metrics_that_the_paper_does_not_print_are_ours_only(bp4d_3fold, metric, more):
    comparison = compare(TABLE_II, bp4d_3fold, metric)
    assert list(_columns(comparison)) == [
        ("3fold", system) for system in ("always_present", "hog_svm", "anet", "hybrid")
    ]
    assert _cell(comparison, "3fold", "hybrid", 4) == ComparedCell(44.0 + more, 39.0 + more, 49.0 + more)
    assert comparison.remarks == {}
    assert "prints no figure of it" in comparison.explanation
    assert ("as defined by jeni" in comparison.notes[0]) == (metric == "f1_norm")


def test_synthetic_faces_other_datasets_and_systems_without_a_place_are_told(tmp_path, paper_run_maker):
    folders = [
        paper_run_maker(tmp_path / "a", "gft", "cross"),
        paper_run_maker(tmp_path / "b", "bp4d", "3fold", source="bp4d"),
    ]
    comparison = compare(TABLE_II, read_runs(TABLE_II, folders, any_dataset=True), "f1_frame")
    assert len(comparison.warnings) == 2
    assert comparison.warnings[0].startswith(
        "Our figures (cross-dataset) are of synthetic faces: they are not comparable"
    )
    assert comparison.warnings[1] == "Our figures (cross-dataset) are of gft, not of BP4D."
    assert [note.partition(":")[0] for note in comparison.notes] == ["3 folds", "cross-dataset"]
    assert comparison.notes[1].endswith("not shown, for the paper has no such column: hog_svm.")


def test_real_faces_of_the_table_need_no_warning(tmp_path, paper_run_maker):
    runs = read_runs(TABLE_II, [paper_run_maker(tmp_path, "bp4d", "3fold", source="bp4d")])
    assert compare(TABLE_II, runs, "f1_frame").warnings == ()


def test_runs_come_in_the_papers_order_whatever_the_command_lines(tmp_path, paper_run_maker):
    folders = [paper_run_maker(tmp_path / variant, "bp4d", variant) for variant in ("10fold", "cross", "3fold")]
    runs = read_runs(TABLE_II, folders)
    assert {protocol: run.folder.name for protocol, run in runs.items()} == {
        "3fold": "3fold",
        "cross": "cross",
        "10fold": "10fold",
    }
    assert list(runs) == ["3fold", "cross", "10fold"]


@pytest.mark.parametrize(
    ("data", "dataset", "synthetic"),
    [
        ({}, "gft", True),
        ({"source": "gft"}, "gft", False),
        ({"source": "folder", "stands_for": "GFT"}, "gft", False),
        ({"source": "gft", "stands_for": ""}, "gft", False),
    ],
)
def test_a_run_counts_as_the_dataset_it_is_made_after_or_stands_for(
    tmp_path, paper_run_maker, data, dataset, synthetic
):
    run = read_runs(TABLE_I, [paper_run_maker(tmp_path, "gft", "3fold", **data)])["3fold"]
    assert (run.dataset, run.is_synthetic) == (dataset, synthetic)


def test_a_run_of_before_the_field_stands_for_is_read(tmp_path, paper_run_maker):
    config = files.read_json(paper_run_maker(tmp_path, "gft", "3fold") / "config.json")
    config["data"].pop("stands_for", None)
    files.write_json(tmp_path / "config.json", config)
    assert read_runs(TABLE_I, [tmp_path])["3fold"].dataset == "gft"


def test_description_tells_faces_folds_threshold_and_intervals(tmp_path, paper_run_maker):
    run = read_runs(TABLE_II, [paper_run_maker(tmp_path, "bp4d", "cross", videos=1, frames=60)])["cross"]
    assert run.description() == (
        f"{tmp_path}: synthetic faces bp4d_like, videos 1, frames 60, CNN trained on synthetic faces gft_like, "
        "3 folds (bp4d_3fold), threshold zero, seed 0, 95 % intervals from 1000 resamplings of subjects"
    )


def _refused(table, folders, match, **options):
    with pytest.raises(UserError, match=match) as caught:
        read_runs(table, folders, **options)
    assert "\n" not in str(caught.value)


def test_another_dataset_is_refused_unless_asked_for(tmp_path, paper_run_maker):
    folder = paper_run_maker(tmp_path, "gft", "3fold")
    _refused(TABLE_II, [folder], "is a run on gft, and the paper's Table II is of BP4D; .*--any_dataset")
    assert read_runs(TABLE_II, [folder], any_dataset=True)["3fold"].dataset == "gft"


def test_two_runs_of_one_protocol_are_refused(tmp_path, paper_run_maker):
    folders = [paper_run_maker(tmp_path / name, "bp4d", "10fold") for name in "ab"]
    _refused(TABLE_II, folders, "/b and .*/a both have the protocol 10 folds")


def test_a_protocol_that_the_paper_has_not_is_refused(tmp_path, paper_run_maker):
    config = files.read_json(paper_run_maker(tmp_path, "bp4d", "3fold") / "config.json")
    config["protocol"]["folds"] = 5
    files.write_json(tmp_path / "config.json", config)
    _refused(TABLE_II, [tmp_path], "5 folds and no system anet_transfer; .* leave it out")


def test_what_is_no_run_or_not_finished_is_refused(tmp_path, paper_run_maker):
    _refused(TABLE_II, [], "--runs names no run")
    _refused(TABLE_II, [tmp_path / "none"], "none is not a run")
    folder = paper_run_maker(tmp_path / "x", "bp4d", "10fold")
    results = json.loads((folder / "results.json").read_text())
    results["folds"]["finished"].remove(4)
    files.write_json(folder / "results.json", results)
    _refused(TABLE_II, [folder], "9 of 10 folds; finish it")
    (folder / "results.json").unlink()
    _refused(TABLE_II, [folder], "no results.json; finish it")


def _with_aus(folder, aus):
    """Changes the AUs of a run's results."""
    results = files.read_json(folder / "results.json")
    for column in (*results["systems"].values(), results["always_present"]):
        for metric in ("f1_frame", "f1_norm", "f1_event"):
            column[metric] = {**{str(au): 40.0 + au for au in aus}, "average": 99.0}
            column["intervals"][metric] = {key: [value - 5, value + 5] for key, value in column[metric].items()}
    files.write_json(folder / "results.json", results)
    return folder


@pytest.mark.parametrize("aus", [(12,), (1, 2, 5, 9, 12, 25, 26), tuple(range(1, 26))])
def test_a_run_of_other_aus_has_those_of_the_paper_and_their_average(tmp_path, paper_run_maker, aus):
    folder = _with_aus(paper_run_maker(tmp_path, "bp4d", "3fold"), aus)
    comparison = compare(TABLE_II, read_runs(TABLE_II, [folder]), "f1_frame")
    shared = [au for au in ROWS[:-1] if au in aus]
    for au in ROWS[:-1]:
        assert _cell(comparison, "3fold", "anet", au).ours == (40.0 + au if au in aus else None)
    average = _cell(comparison, "3fold", "anet", "average")
    assert average.ours == pytest.approx(40 + sum(shared) / len(shared), abs=1e-3) and average.low is None
    assert (average.remarks != "") == (len(shared) < 12)


def test_a_run_without_any_au_of_the_paper_is_refused(tmp_path, paper_run_maker):
    folder = _with_aus(paper_run_maker(tmp_path, "bp4d", "3fold"), (25, 26))
    _refused(TABLE_II, [folder], "has none of the AUs 1, 2, 4, .* 24 of the paper's tables; leave it out")
