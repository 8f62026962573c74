"""Which runs stand beside a table of the paper, and in which of its protocols."""

import json

import pytest

from au_jax import files
from au_jax.errors import UserError
from au_jax.evaluation.paper import TABLE_I, TABLE_II
from au_jax.report.paper_tables import read_runs


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
    _refused(TABLE_II, [tmp_path / "none"], "none is no run")
    folder = paper_run_maker(tmp_path / "x", "bp4d", "10fold")
    results = json.loads((folder / "results.json").read_text())
    results["folds"]["finished"].remove(4)
    files.write_json(folder / "results.json", results)
    _refused(TABLE_II, [folder], "9 of 10 folds; finish it")
    (folder / "results.json").unlink()
    _refused(TABLE_II, [folder], "no results.json; finish it")
