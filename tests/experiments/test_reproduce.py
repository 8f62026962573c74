"""One command for all tables and figures: its plan, its estimate, and (slow) a whole round on tiny data."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
from absl import flags
from ml_collections import config_flags

from au_jax import files
from au_jax.config import typed
from au_jax.errors import UserError
from au_jax.run import check_config
from experiments import reproduce, scales

GIVEN = {
    "out": "x",
    "scale": "smoke",
    "synthetic": True,
    "bp4d": None,
    "gft": None,
    "protocols": ["3fold"],
    "seeds": ["0", "1"],
    "vgg_face": None,
}


def plan(**changes):
    return reproduce.make_reproduction(SimpleNamespace(**{**GIVEN, **changes}))


@pytest.mark.parametrize("scale", scales.SCALES)
@pytest.mark.parametrize("dataset", scales.DATASETS)
@pytest.mark.parametrize("protocol", scales.PROTOCOLS)
def test_every_run_of_every_scale_has_a_valid_config(scale, dataset, protocol):
    config = scales.get_config(f"{dataset}-{protocol}-{scale}")
    check_config(config)
    assert (config.data.preset, config.data.stands_for) == (f"{dataset}_like", dataset)
    assert config.protocol.folds == (10 if protocol == "10fold" else 3)
    published = scale != "smoke" and (dataset, protocol) != ("gft", protocol) and protocol != "10fold"
    assert config.protocol.split == ("bp4d_3fold" if published else "random")
    assert (config.cnn.variant == "drml_alexnet") == (scale == "full")


def test_recordings_take_the_place_of_synthetic_faces_in_both_datasets():
    config = plan(synthetic=False, bp4d="/b", gft="/g", scale="full").config("bp4d", "cross", 0)
    assert (config.data.source, config.data.raw) == ("bp4d", "/b")
    assert (config.transfer.source, config.transfer.raw) == ("gft", "/g")
    assert config.data.stands_for == ""
    check_config(config)


@pytest.mark.parametrize("raw", [{}, {"synthetic": False, "bp4d": "/b", "gft": "/g"}])
def test_the_command_of_a_run_makes_its_config(raw, monkeypatch):
    ours, values = plan(out="folder with spaces", **raw), flags.FlagValues()
    config_flags.DEFINE_config_file("config", None, "", flag_values=values, lock_config=True)
    flags.DEFINE_string("workdir", None, "", flag_values=values)
    # The config's own fields are looked for there.
    monkeypatch.setattr(sys, "argv", ["main", *ours.command("gft", "cross", 1)])
    values(sys.argv)
    assert typed(values.config) == ours.config("gft", "cross", 1)
    assert values.workdir == "folder with spaces/gft_cross_seed1"


@pytest.mark.parametrize("variant", ["", "bp4d", "bp4d-3fold", "bp4d-5fold-smoke", "bp4d-3fold-smoke-0"])
def test_a_mistaken_variant_is_told(variant):
    with pytest.raises(ValueError, match="as in bp4d-3fold-smoke"):
        scales.get_config(variant)


def test_runs_of_further_seeds_have_folders_of_their_own():
    ours = plan()
    assert [ours.folder("gft", "3fold", seed).name for seed in ours.seeds] == ["gft_3fold", "gft_3fold_seed1"]
    assert ours.config("gft", "3fold", 1).seed == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"synthetic": False}, "--synthetic, or the folders"),
        ({"bp4d": "/b"}, "--synthetic, or the folders"),
        ({"synthetic": False, "bp4d": "/b"}, "needs both"),
        ({"protocols": ["5fold"]}, "choose among 3fold"),
        ({"protocols": ["cross"]}, "not cross first"),
    ],
)
def test_mistaken_options_are_told(changes, message):
    with pytest.raises(UserError, match=message):
        plan(**changes)


@pytest.mark.optax
def test_the_estimate_counts_folds_epochs_and_steps(monkeypatch):
    monkeypatch.setattr(reproduce, "_update_seconds", lambda *arguments: 2.0)
    monkeypatch.setattr(reproduce, "_forward_seconds", lambda *arguments: 1.0)
    config = scales.get_config("bp4d-3fold-smoke")
    config.cnn.batch_size, config.cnn.epochs = 10, 4
    config.lstm.batch_size, config.lstm.sequence_length, config.lstm.epochs, config.lstm.steps_per_epoch = 2, 8, 5, 0
    # 600 frames: 400 in two folds, 320 without the validation subjects: 32 CNN steps, 20 LSTM updates.
    assert reproduce.estimate(config, 600) == {
        "CNN training": 3 * 4 * 32 * 2.0,
        "CNN scoring": 3 * 2 * 60 * 1.0,
        "LSTM training": 3 * 5 * 20 * 2.0,
    }
    config.systems = ("hog_svm", "anet_transfer")
    assert reproduce.estimate(config, 600) == {"CNN training": 4 * 48 * 2.0, "CNN scoring": 60.0}
    assert reproduce.estimate_line("x", {"CNN": 3600.0, "LSTM": 61.0}) == "x: about 1:01:01 (CNN 1:00:00, LSTM 01:01)"


@pytest.mark.slow
@pytest.mark.optax
def test_steps_of_the_networks_are_timed():
    seconds = reproduce.estimate(scales.get_config("gft-3fold-smoke"), 288)
    assert set(seconds) == {"CNN training", "CNN scoring", "LSTM training"}
    assert all(value > 0 for value in seconds.values())


def test_the_spread_is_a_table_over_seeds_for_every_dataset_and_protocol(tmp_path):
    ours = plan(out=str(tmp_path))
    for dataset in ("bp4d", "gft"):
        for seed, value in ((0, 50.0), (1, 53.0)):
            figures = {"f1_frame": {"average": value}}
            files.write_json(
                ours.folder(dataset, "3fold", seed) / "results.json",
                {"always_present": {"f1_frame": {"average": 40.0}}, "systems": {"anet": figures}},
            )
    bp4d, gft = reproduce.spread(ours).split("## gft, 3fold")
    assert bp4d.startswith("## bp4d, 3fold")
    for table in (bp4d, gft):
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
        assert ["seed", "always present", "ANet"] in rows
        assert ["0", "40.0", "50.0"] in rows and ["mean", "40.0", "51.5"] in rows


@pytest.mark.slow
def test_a_whole_round_on_tiny_data(tmp_path):
    command = [sys.executable, "-m", "experiments.reproduce", "--synthetic", "--scale=smoke", f"--out={tmp_path}"]
    subprocess.run(command, check=True, capture_output=True)
    for name in ("tables/table_I_f1_frame.md", "tables/table_II_f1_frame.tex", "figures/fig5.png", "spread.md"):
        assert (tmp_path / name).stat().st_size > 0, name
