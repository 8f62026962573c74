"""The table of the ablations: what is finished, differences by hand, and mistakes of the command line."""

from types import SimpleNamespace

import numpy as np
import pytest

from au_jax import files
from au_jax.errors import CommandError
from au_jax.report import style
from experiments import ablations
from experiments.ablation_variants import VARIANTS
from experiments.ablations import Plan, ablate, draw, make_plan, markdown, summary


def write(path, right):
    """Scores of two people, of whom `right` of four frames of AU 1 are called rightly; the other AUs never occur."""
    arrays = {"thresholds": np.zeros(12, np.float32)}
    for subject in ("A", "B"):
        labels = np.full((4, 12), -1, np.int8)
        labels[:2, 0] = 1
        scores = labels * np.where(np.arange(4) < right, 1.0, -1.0)[:, None]
        arrays |= {f"{subject}/1/scores": scores.astype(np.float32), f"{subject}/1/labels": labels}
        arrays[f"{subject}/1/frames"] = np.arange(1, 5, dtype=np.int32)
    files.write_npz(path, arrays)


@pytest.fixture
def plan(tmp_path):
    """Two seeds of one fold: ANet is right in 2 frames, filter and hybrid in 3, "again" in 3 and the margin loss in 4."""
    plan = Plan(tmp_path, "smoke", (0, 1), (0,))
    for seed in plan.seeds:
        for name, right in (("anet", 2), ("anet_filter", 3), ("hybrid", 3)):
            write(plan.run(seed).score_path(0, name), right)
        for name, right in (("again", 3), ("margin", 4)):
            folder = ablations.variant_folder(plan, seed, name) / "fold_00"
            write(folder / f"scores/{name}.npz", right)
            files.write_json(folder / "cost.json", {"parameters": 1000, "seconds": 2.0 + seed})
    return plan


def test_the_table_has_the_finished_variants_with_their_differences(plan):
    document = summary(plan)
    assert document is not None
    rows = {row["name"]: row for row in document["rows"]}
    assert list(rows) == ["anet", "anet_filter", "hybrid", "again", "margin"]
    # Two of two present frames are hit; ANet calls two of the absent ones as well, the hybrid one: 4 / 6, 4 / 5, 1.
    assert rows["anet"]["f1_frame"]["value"] == pytest.approx(100 * 4 / 6, abs=1e-3)
    assert rows["hybrid"]["f1_frame"]["anet"]["difference"] == pytest.approx(100 * (4 / 5 - 4 / 6), abs=1e-3)
    assert rows["margin"]["f1_frame"]["hybrid"] == {"difference": 20.0, "interval": [20.0, 20.0]}
    assert rows["again"]["f1_frame"]["hybrid"] == {"difference": 0.0, "interval": [0.0, 0.0]}
    assert rows["margin"]["seconds"] == 2.5 and rows["margin"]["parameters"] == 1000
    assert document["by_seed"]["margin"] == {"0": 20.0, "1": 20.0} and document["subjects"] == 2


def test_the_text_and_the_picture_say_the_same(plan):
    document = summary(plan)
    text = markdown(document)
    (row,) = [line for line in text.splitlines() if "margin loss" in line]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[0] == "loss" and cells[2:5] == ["100.0", "+33.3 (+33.3 to +33.3)", "+20.0 (+20.0 to +20.0)"]
    assert cells[-2:] == ["1,000", "2.5"]
    drawing = draw(document)
    with style.context():
        assert style.to_svg(drawing)
    assert "margin loss +20.0" in drawing.alt
    labels = [label.get_text() for label in drawing.figure.axes[0].get_yticklabels()]
    assert labels[-1] == "loss: margin loss" and "as it is: Hybrid" not in labels


def test_nothing_finished_is_no_table(tmp_path):
    assert summary(Plan(tmp_path, "smoke", (0,), (0,))) is None


def test_what_is_finished_is_left_alone_and_time_ends_the_rest(plan, monkeypatch, capsys):
    trained = []
    monkeypatch.setattr(ablations.RunDir, "check", lambda self, config: None)
    monkeypatch.setattr(ablations, "fold_of", lambda *arguments: (None, None))
    monkeypatch.setattr(ablations, "keep_test_features", lambda *arguments: None)
    monkeypatch.setattr(ablations, "run_variant", lambda context, variant, *rest: trained.append(variant.name))
    wanted = [variant for variant in VARIANTS if variant.name in ("again", "mean", "margin")]
    ablate(plan, wanted)
    assert trained == ["mean", "mean"]  # one for each seed
    monkeypatch.setattr(ablations.time, "monotonic", iter(range(0, 1000, 100)).__next__)
    ablate(Plan(**{**vars(plan), "seconds": 50.0}), wanted)
    assert len(trained) == 2 and "type the command again" in capsys.readouterr().out
    assert (plan.out / "ablations.md").exists() and (plan.out / "ablations.svg").exists()


def test_single_aus_are_joined_and_compared_with_the_network_of_all(plan):
    plan = Plan(**{**vars(plan), "single_label": 5})
    assert summary(plan)["single_label"] is None
    for name, aus in ablations.single_label_parts(plan, plan.config(0).data.aus).items():
        for system in ("anet", "hybrid"):
            path = plan.out / "single_label" / name / "fold_00/scores" / f"{system}.npz"
            write(path, 3 if len(aus) > 1 else 4)
            if len(aus) == 1:
                column = plan.config(0).data.aus.index(aus[0])
                arrays = files.read_npz(path)
                for key, rows in arrays.items():
                    if rows.ndim == 2:
                        arrays[key] = rows[:, column : column + 1]
                files.write_npz(path, arrays)
        costs = {"fold_00/anet/cnn": {"seconds": 9.0, "peak_memory_mib": 1.0, "training_seconds": 4.0}}
        files.write_json(plan.out / "single_label" / name / "costs.json", costs)
    single = summary(plan)["single_label"]
    assert single["networks"] == 12 and single["seconds"] == {"all": 4.0, "single": 48.0}
    assert single["rows"][0]["f1_frame"]["all"]["difference"] == 20.0
    assert "12 networks" in markdown(summary(plan))


@pytest.mark.parametrize(
    "changes",
    [
        {"seeds": ["a"]}, {"seeds": []}, {"seeds": ["1", "1"]}, {"folds": ["3"]}, {"folds": []},
        {"scale": "smoke", "single_label": 5},
    ],
)  # fmt: skip
def test_mistaken_options_are_told(changes):
    options = {
        "out": "x",
        "scale": "demo",
        "seeds": ["0"],
        "folds": ["0"],
        "data": "",
        "seconds": 0.0,
        "single_label": 0,
    }
    assert make_plan(SimpleNamespace(**options)).seeds == (0,)
    with pytest.raises(CommandError):
        make_plan(SimpleNamespace(**{**options, **changes}))
