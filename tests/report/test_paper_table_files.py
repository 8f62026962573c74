"""The tables beside the paper's as files, read back, and the command lines that write them."""

import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from au_jax.errors import UserError
from au_jax.evaluation.paper import TABLE_I, TABLE_II
from au_jax.report.paper_table_files import latex, paper_table_csv, paper_table_markdown, write_tables
from au_jax.report.paper_tables import PAPER_METRICS, compare, read_runs

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def runs(tmp_path_factory, paper_run_maker):
    """Runs of GFT: three folds with CPM, and cross-dataset; ten folds are missing."""
    folder = tmp_path_factory.mktemp("runs_100%_{gft}")
    systems = {"hog_svm": 20.0, "cpm": 30.0, "hybrid": 40.0}
    three = paper_run_maker(folder / "three", "gft", "3fold", systems)
    return read_runs(TABLE_I, [three, paper_run_maker(folder / "other_faces", "gft", "cross")])


def _markdown_tables(text):
    blocks = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    return [[[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()] for block in blocks]


def test_markdown_has_a_table_per_protocol_with_ours_the_papers_and_the_difference(runs):
    three, cross, ten = _markdown_tables(paper_table_markdown(compare(TABLE_I, runs, "f1_frame")))
    assert three[0] == [
        "AU", "always present", "HOG+SVM", "paper", "difference", "CPM", "paper", "difference", "JPML, paper",
        "ANet, paper", "Hybrid", "paper", "difference",
    ]  # fmt: skip
    assert len(three) == len(cross) == len(ten) == 15
    assert len({len(row) for row in three}) == 1
    assert three[4] == [
        "4", "14.0 (9.0 to 19.0)", "24.0 (19.0 to 29.0)", "5.5", "+18.5", "34.0 (29.0 to 39.0)", "-", "-", "3.2",
        "71.9 [c]", "44.0 (39.0 to 49.0)", "68.9 [a]", "-24.9",
    ]  # fmt: skip
    assert three[-1][6:8] == ["48.2 [b]", "-6.3 [d]"]
    assert cross[0] == ["AU", "always present", "ANet-T", "paper", "difference"]
    assert cross[2] == ["1", "11.0 (6.0 to 16.0)", "26.0 (21.0 to 31.0)", "9.9", "+16.1"]
    assert ten[-1][1:] == ["50.5 [b]", "52.4 [b]", "48.4 [b]", "63.4", "66.4"]


def test_markdown_says_why_cells_are_doubted_and_that_faces_are_synthetic(runs):
    text = paper_table_markdown(compare(TABLE_I, runs, "f1_frame"))
    for number, doubt in enumerate(TABLE_I.doubts):
        assert f"- [{'abc'[number]}] {doubt.reason}" in text
    assert "synthetic faces: they are not comparable with the paper's" in text.partition("|")[0]


def test_a_difference_of_next_to_nothing_has_no_minus(tmp_path, paper_run_maker):
    # The paper's AU 1 of HOG+SVM is 21.1.
    near = read_runs(TABLE_II, [paper_run_maker(tmp_path, "bp4d", "3fold", {"hog_svm": 20.08})])
    table = _markdown_tables(paper_table_markdown(compare(TABLE_II, near, "f1_frame")))[0]
    assert table[2][2:5] == ["21.1 (16.1 to 26.1)", "21.1", "+0.0"]


def test_csv_reads_back_as_the_very_figures(runs):
    comparison = compare(TABLE_I, runs, "f1_frame")
    rows = list(csv.DictReader(io.StringIO(paper_table_csv(comparison))))
    assert list(rows[0]) == ["protocol", "system", "au", "ours", "low", "high", "paper", "difference", "doubts"]
    # Two columns of always-present and the paper's 11, each of 12 AUs and the average.
    assert len(rows) == 13 * 13
    found = {(row["protocol"], row["system"], row["au"]): row for row in rows}
    average = found["3fold", "cpm", "average"]
    assert [float(average[name]) for name in ("ours", "low", "high", "paper")] == [41.25, 36.25, 46.25, 48.2]
    assert float(average["difference"]) == -6.318
    assert average["doubts"] == f"{TABLE_I.doubts[1].reason}; {comparison.remarks['d']}"
    assert found["10fold", "hybrid", "7"]["ours"] == ""
    assert found["10fold", "cpm", "4"]["paper"] == ""
    assert found["3fold", "always_present", "1"]["paper"] == found["3fold", "always_present", "1"]["doubts"] == ""


@pytest.mark.parametrize("metric", PAPER_METRICS)
def test_latex_rows_have_as_many_columns_as_their_tabular(runs, metric):
    text = latex(compare(TABLE_I, runs, metric))
    tabulars = re.findall(r"\\begin\{tabular\}\{(lr*)\}\n(.*?)\\end\{tabular\}", text, re.DOTALL)
    assert [len(spec) for spec, _ in tabulars] == ([13, 5, 6] if metric == "f1_frame" else [5, 3])
    for spec, body in tabulars:
        rows = [line.removesuffix(r" \\") for line in body.splitlines() if line.endswith(r"\\")]
        assert len(rows) == 15
        for row in rows:
            spans = [re.match(r"\s*\\multicolumn\{(\d+)\}", cell) for cell in row.split("&")]
            assert sum(int(span[1]) if span else 1 for span in spans) == len(spec)
        ends = [tuple(map(int, pair)) for pair in re.findall(r"\\cmidrule\(lr\)\{(\d+)-(\d+)\}", body)]
        assert ends[0][0] == 2 and ends[-1][1] == len(spec)
        assert all(after[0] == before[1] + 1 for before, after in zip(ends, ends[1:], strict=False))


def test_latex_is_balanced_and_escapes_what_tex_would_read(runs):
    text = latex(compare(TABLE_I, runs, "f1_frame"))
    assert text.startswith("% Needs \\usepackage{booktabs}.\n\\begin{table*}\n")
    opened = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+\*?)\}", text):
        opened.append(name) if kind == "begin" else None
        assert kind == "begin" or opened.pop() == name
    assert opened == []
    bare = re.sub(r"\\[\\&%$#_{}]", "", text)
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    # The folder's name: runs_100%_{gft}.
    assert r"runs\_100\%\_\{gft\}" in text
    assert "%" not in bare.partition("\n")[2]
    assert not re.search(r"_(?!\{)", bare)
    assert r"$41.2_{36.2}^{46.2}$ & $48.2$\textsuperscript{b} & $-6.3$\textsuperscript{d}" in text
    assert "synthetic faces" in re.search(r"\\caption\{(.*)\}", text)[1]


def test_all_files_are_written_and_are_the_same_again(tmp_path, runs, capsys):
    folders = [run.folder for run in runs.values()]
    write_tables(TABLE_I, folders, tmp_path / "a")
    written = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    assert set(written) == {
        f"table_I_{metric}.{kind}" for metric in PAPER_METRICS for kind in ("md", "csv", "tex", "png", "svg")
    }
    printed = capsys.readouterr().out
    assert printed.startswith(written["table_I_f1_frame.md"].decode())
    write_tables(TABLE_I, folders, tmp_path / "b")
    assert written == {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}
    for metric in PAPER_METRICS:
        pixels = np.asarray(Image.open(io.BytesIO(written[f"table_I_{metric}.png"])).convert("L"))
        assert 0.01 < (pixels < 200).mean() < 0.5
        assert (np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]) > 250).all()


def test_nothing_is_written_when_a_run_is_refused(tmp_path, runs):
    with pytest.raises(UserError, match="any_dataset"):
        write_tables(TABLE_II, [run.folder for run in runs.values()], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_commands_write_their_table_or_refuse_in_a_line(command, tmp_path, runs):
    named = "--runs=" + ",".join(str(run.folder) for run in runs.values())
    done = command("experiments.table1", named, f"--out={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert "# F1-frame on GFT (Table I of the paper)\n" in done.stdout
    assert (tmp_path / "table_I_f1_frame.svg").stat().st_size > 0
    refused = command("experiments.table2", named, f"--out={tmp_path}")
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert re.search(r"^error: .*is a run on gft, and the paper's Table II is of BP4D", refused.stderr, re.MULTILINE)
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "table_II_f1_frame.md").exists()
