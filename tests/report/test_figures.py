"""The paper's figures as pictures: nothing is cut off, and the words say the numbers."""

import io

import numpy as np
import pytest
from PIL import Image

from au_jax.evaluation.tables import Scored
from au_jax.explain import divergence
from au_jax.labels import NUM_AUS
from au_jax.report import paper_figures, score_figures, style
from au_jax.report import paper_figures as drawn_divergence


def drawn(make):
    with style.look():
        drawing = make()
        png = style.to_png(drawing)
        assert style.to_svg(drawing).startswith(b"<?xml")
    with Image.open(io.BytesIO(png)) as image:
        assert (image.info["Title"], image.info["Description"]) == (drawing.alt, drawing.caption)
        pixels = np.asarray(image.convert("L"))
    assert pixels.shape[1] == 1500
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    assert (edge > 250).all()
    return drawing, pixels


@pytest.mark.parametrize("networks", [1, 2])
@pytest.mark.parametrize("shape", [(11, 11, 3, 96), (5, 5, 3, 16), (3, 3, 3, 7)])
def test_filters_of_any_number_and_size(networks, shape):
    rng = np.random.default_rng(0)
    grey = np.repeat(rng.normal(size=(*shape[:2], 1, shape[3])), 3, axis=2)
    pairs = [("faces", grey), ("things", rng.normal(size=shape))][:networks]
    drawing, _ = drawn(lambda: paper_figures.draw_filters(pairs))
    assert "faces 0 %" in drawing.alt and ("things" in drawing.alt) == (networks == 2)
    rows = list(paper_figures.filter_rows(pairs))
    assert len(rows) == networks * (shape[3] + 1)
    assert rows[0] == {"network": "faces", "filter": "all", "energy": pytest.approx(np.square(grey).sum()),
                       "chromatic_share": pytest.approx(0, abs=1e-12)}  # fmt: skip


@pytest.mark.parametrize("panels", [1, 2, 3])
def test_embeddings_of_any_number_of_descriptors(panels):
    rng = np.random.default_rng(0)
    names = tuple(f"a person with the number {index}" for index in range(12))
    subject = np.repeat(np.arange(12), 20)
    shown = [
        paper_figures.Panel(
            name, rng.normal(size=(240, 2)), paper_figures.Accuracy(0.81, 0.5), paper_figures.Accuracy(0.4, 0.03)
        )
        for name in ("HOG", "VGG-Face", "fc7")[:panels]
    ]
    labels = rng.choice([-1, 0, 1], 240)
    drawing, _ = drawn(lambda: paper_figures.draw_embeddings(shown, 12, labels, subject, names, "Made up."))
    assert "240 frames of 12 people" in drawing.alt
    assert drawing.alt.count("AU 12 81 % (chance 50 %), subject 40 % (chance 3 %)") == panels


def made_up_dataset(title, seed, spreads):
    rng = np.random.default_rng(seed)
    matrices = {
        name: divergence.js_matrix(divergence.distributions(np.abs(1 + spread * rng.normal(size=(12, 50)))))
        for name, spread in spreads.items()
    }
    replicates = divergence.bootstrap(matrices, 50, seed=0)
    names = tuple(f"S{index}" for index in range(12))
    return drawn_divergence.Dataset(title, "the other", matrices, dict.fromkeys(matrices, 50), replicates, 0.9, names)


def test_divergences_of_two_datasets_and_their_tables():
    spreads = {"fc7": 0.01, "HOG": 0.04, "Gabor": 0.1, "Shape": 0.3}
    datasets = [made_up_dataset("one (synthfacs bp4d_like)", 0, spreads), made_up_dataset("two (folder)", 1, spreads)]
    drawing, _ = drawn(lambda: drawn_divergence.draw_divergences(datasets))
    assert drawing.alt.index("fc7") < drawing.alt.index("HOG") < drawing.alt.index("Shape")
    rows = list(drawn_divergence.rows(datasets))
    assert [(row["dataset"][:3], row["feature"]) for row in rows[3:5]] == [("one", "Shape"), ("two", "fc7")]
    sums = datasets[0].matrices["HOG"].sum(1)
    assert rows[1]["sum_mean"] == pytest.approx(sums.mean())
    assert rows[1]["by_log_dimensions_std"] == pytest.approx(sums.std() / np.log(50))
    assert rows[1]["log_of_millionths_mean"] == pytest.approx(np.log10(1e6 * sums).mean())
    assert rows[1]["low"] < rows[1]["log_of_millionths_mean"] < rows[1]["high"]
    assert (rows[0]["paper_bp4d"], rows[0]["paper_gft"]) == (3.58, 0.89)
    orders = list(drawn_divergence.order_rows(datasets))
    assert orders[3]["order"] == "fc7 < HOG < Gabor < Shape" and orders[3]["share_of_resamplings"] == 1.0
    people = list(drawn_divergence.subject_rows(datasets))
    assert len(people) == 24 and people[2]["subject"] == "S2" and people[2]["HOG"] == pytest.approx(sums[2])


def test_wanted_pictures_and_their_numbers():
    rng = np.random.default_rng(0)
    scores = np.eye(NUM_AUS) * 5.0
    scores[3, 4] = 6.0  # the picture for AU 6 scores AU 7 higher, and more than AU 7's own
    energy = np.full((NUM_AUS, NUM_AUS), 0.1)
    np.fill_diagonal(energy, 0.4)
    wanted = paper_figures.Wanted(
        "a net", "paper", 10, rng.normal(size=(NUM_AUS, 20, 20, 3)) * 30, np.full((20, 20, 3), 120.0), scores, energy,
        np.full(NUM_AUS, 0.2),
    )  # fmt: skip
    drawing, _ = drawn(lambda: paper_figures.draw_wanted(wanted))
    assert "On 11 of 12 pictures" in drawing.alt and "11 of 12 AUs score no other" in drawing.alt
    assert "2.0 times the energy of chance and 4.0 times that of other AUs' pictures" in drawing.alt
    row = list(paper_figures.score_rows(wanted))[3]
    assert (row["made_for_au"], row["au6"], row["au7"], row["own_is_highest"]) == (6, 5.0, 6.0, False)
    row = list(paper_figures.energy_rows(wanted))[0]
    assert row == {"au": 1, "energy_in_region": 0.4, "area_of_region": 0.2,
                   "others_energy_in_region": pytest.approx(0.1)}  # fmt: skip


def test_wanted_pictures_of_zero_are_grey():
    zeros = np.zeros((NUM_AUS, 20, 20, 3))
    wanted = paper_figures.Wanted(
        "n", "p", 1, zeros, zeros[0] + 127.5, np.eye(NUM_AUS), np.zeros((12, 12)), np.full(12, 0.1)
    )
    drawing, pixels = drawn(lambda: paper_figures.draw_wanted(wanted))
    assert "0.0 times the energy of chance" in drawing.alt
    assert set(np.unique(pixels[60:200, 60:200])) <= {127, 128}


def scored(seed, absent=()):
    rng = np.random.default_rng(seed)
    labels = rng.choice([-1, 0, 1], (60, NUM_AUS), p=[0.6, 0.1, 0.3]).astype(np.int8)
    labels[:, list(absent)] = -1
    scores = (labels + rng.normal(size=labels.shape)).astype(np.float32)
    halves = {"A/1": slice(0, 25), "B/1": slice(25, 60)}
    return Scored(
        {key: scores[part] for key, part in halves.items()},
        {key: labels[part] for key, part in halves.items()},
        {key: np.arange(60)[part] for key, part in halves.items()},
    )


def test_precision_recall_of_many_systems_with_an_au_that_never_occurs():
    systems = {name: [scored(seed, (8,)), scored(seed + 9, (8,))] for seed, name in enumerate("abcdef")}
    drawing, _ = drawn(lambda: score_figures.draw_precision_recall(systems))
    rows = list(score_figures.summary_rows(systems))
    assert len(rows) == 6 * 11 and 15 not in {row["au"] for row in rows}
    one = next(row for row in rows if row["system"] == "c" and row["au"] == 12)
    labels, scores = (
        np.concatenate([score_figures.joined(fold)[part][:, 6] for fold in systems["c"]]) for part in (0, 1)
    )
    found, there = (scores > 0) & (labels != 0), labels > 0
    assert one["recall_at_0"] == pytest.approx((found & there).sum() / there.sum())
    assert one["precision_at_0"] == pytest.approx((found & there).sum() / found.sum())
    mean = np.mean([row["average_precision"] for row in rows if row["system"] == "a"])
    assert f"a {100 * mean:.1f} %" in drawing.alt
    assert len(list(score_figures.precision_recall_rows(systems))) == 6 * 11 * 100


def test_cooccurrence_where_nothing_is_found():
    nothing = scored(0)
    for rows in nothing.scores.values():
        rows[:] = -1.0
    drawing, _ = drawn(lambda: score_figures.draw_cooccurrence("anet", nothing))
    assert "mean difference undefined" in drawing.alt
    table = list(score_figures.cooccurrence_rows({"anet": nothing, "hybrid": scored(1)}))
    assert len(table) == 144 and np.isnan(table[1]["anet"]) and 0 < table[1]["hybrid"] < 1
