"""Two runs side by side: their own results, the costs, and what cannot be compared."""

import json

import numpy as np
import pytest

from au_jax import files
from au_jax.errors import CommandError, DataError
from au_jax.report.run_comparison import compare_runs, draw_paired_differences


def _made(folder, maker, faces, **options):
    made = maker(folder, faces, **options)
    files.write_json(folder / "config.json", json.loads(made["config"].to_json_best_effort()))
    return made["results"]


def test_both_sides_are_the_runs_own_results_and_costs_stand_beside(tmp_path, drawn_faces, run_maker, capsys):
    first = _made(tmp_path / "a", run_maker, drawn_faces)
    second = _made(tmp_path / "b", run_maker, drawn_faces, systems=("hybrid",))
    document = compare_runs([tmp_path / "a", tmp_path / "b"], ["hybrid"], tmp_path / "out")
    for name in ("f1_frame", "f1_micro", "f1_norm", "f1_event", "auc"):
        for au, pair in document["metrics"][name].items():
            assert pair["a"] == first["systems"]["hybrid"][name][au]
            assert pair["b"] == second["systems"]["hybrid"][name][au]
    # The hybrid is the third system of run a, 5 s a fold, and the first of run b, 3 s.
    assert [run["seconds"] for run in document["runs"]] == [15.0, 9.0]
    assert [run["peak_memory_mib"] for run in document["runs"]] == [902.0, 900.0]
    assert document["subjects"] == 7
    text = (tmp_path / "out" / "compare.md").read_text()
    assert "# Hybrid and Hybrid on the same people" in text and "|           seconds | 15.0 | 9.0 |" in text
    assert text in capsys.readouterr().out
    assert files.read_json(tmp_path / "out" / "compare.json") == document


def test_the_same_run_and_system_differ_by_nothing(tmp_path, drawn_faces, run_maker):
    _made(tmp_path, run_maker, drawn_faces)
    document = compare_runs([tmp_path, tmp_path], ["anet"], tmp_path / "out")
    assert all(pair["difference"] == 0 for by_au in document["metrics"].values() for pair in by_au.values())


@pytest.mark.parametrize("aus", [(12,), (1, 2, 4, 6, 12, 25, 26), tuple(range(1, 26))])
def test_the_figure_has_a_point_per_au_filled_where_the_interval_holds_no_0(aus, pixels_of):
    pairs = {
        str(au): {"a": 40.0, "b": 41.0, "difference": 1.0, "interval": [0.5, 2.0] if number % 2 else [-0.5, 2.0]}
        for number, au in enumerate(aus)
    }
    pairs["average"] = {"a": None, "b": None, "difference": None, "interval": [None, None]}
    runs = [{"name": "runs/a", "system": "anet"}, {"name": "runs/b", "system": "hybrid"}]
    metrics = dict.fromkeys(("f1_frame", "f1_norm", "f1_event", "auc"), pairs)
    metrics["f1_micro"] = {"average": pairs["average"]}
    drawing = draw_paired_differences({"runs": runs, "subjects": 9, "level": 0.95, "metrics": metrics})
    pixels_of(drawing)
    points = [line for line in drawing.figure.axes[0].lines if line.get_marker() == "o"]
    assert [point.get_markerfacecolor() == "white" for point in points] == [not n % 2 for n in range(len(aus))]
    assert "F1-frame undefined" in drawing.alt


def test_what_cannot_be_compared_is_refused_in_one_line(tmp_path, drawn_faces, faces_maker, run_maker):
    _made(tmp_path / "a", run_maker, drawn_faces)
    _made(tmp_path / "part", run_maker, drawn_faces, finished=(0, 1))
    _made(tmp_path / "absent", run_maker, drawn_faces, absent=(3,))
    few = faces_maker(tmp_path / "faces", drawn_faces.subjects, videos=2, frames=40, aus=(6, 12))
    _made(tmp_path / "two", run_maker, few)

    def refused(error, match, others, systems=("anet",)):
        with pytest.raises(error, match=match) as caught:
            compare_runs([tmp_path / "a", *(tmp_path / other for other in others)], systems, tmp_path / "out")
        assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()

    refused(DataError, "a and .*part test different subjects .S0", ["part"])
    refused(DataError, "different labels of S0", ["absent"])
    refused(DataError, "a is of AUs 1, 2, .*two of AUs 6, 12; compare runs of the same AUs", ["two"])
    refused(CommandError, "no system 'cpm'; choose one of hog_svm, anet, hybrid", ["a"], ["cpm"])
    refused(CommandError, "give the folders of two finished runs", [])
    refused(CommandError, "give one system, or that of the first", ["a"], ["a", "b", "c"])
    refused(DataError, "is not a run", ["nothing"])


def test_a_difference_between_skills_shows_in_its_interval(tmp_path, drawn_faces, run_maker):
    _made(tmp_path, run_maker, drawn_faces)
    document = compare_runs([tmp_path, tmp_path], ["hog_svm", "hybrid"], tmp_path / "out")
    average = document["metrics"]["auc"]["average"]
    assert average["interval"][0] > 0 and np.isclose(average["difference"], average["b"] - average["a"], atol=2e-3)
