"""Which AUs a run has is a field of its config: names, checks, and a training on others by flags."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from au_jax import synthfacs
from au_jax.config import get_config, with_defaults
from au_jax.errors import ConfigError
from au_jax.labels import AU_NAMES, PAPER_AUS, check_aus, listed
from au_jax.run import check_config

DISFA = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)


def test_every_au_that_is_coded_has_a_name_of_its_own():
    facs = {1, 2, *range(4, 40), *range(41, 47), *range(51, 65)}
    assert set(AU_NAMES) == facs and list(AU_NAMES) == sorted(AU_NAMES)
    assert len(set(AU_NAMES.values())) == len(AU_NAMES)
    assert set(PAPER_AUS) == set(synthfacs.AUS) and set(PAPER_AUS) | set(DISFA) <= set(AU_NAMES)


@pytest.mark.parametrize("aus", [PAPER_AUS, list(DISFA), (12,), (12, 4), tuple(AU_NAMES)])
def test_a_selection_is_one_or_many_aus_in_any_order(aus):
    assert check_aus(aus) == tuple(aus)


@pytest.mark.parametrize(
    ("aus", "message"),
    [
        ((), r"config.data.aus is \(\); give AU numbers, each once"),
        ("12", "config.data.aus is '12'; give AU numbers"),
        ((1, 3), "config.data.aus has 3; FACS has 1, 2, 4 to 39, 41 to 46 and 51 to 64"),
        ((1, "2"), "config.data.aus has '2'; FACS has"),
        ((1, 2, 1), "config.data.aus has 1 twice"),
    ],
)
def test_other_selections_are_refused_in_one_line(aus, message):
    with pytest.raises(ConfigError, match=message) as caught:
        check_aus(aus)
    assert "\n" not in str(caught.value)


def test_aus_read_as_text():
    assert listed(()) == "" and listed((4,)) == "4" and listed([1, 25]) == "1, 25"


def test_a_run_keeps_its_aus_and_one_of_before_has_the_papers():
    config = get_config()
    config.data.source, config.data.aus = "disfa", DISFA
    check_config(config)
    resolved = json.loads(config.to_json_best_effort())
    assert with_defaults(resolved)["data"]["aus"] == list(DISFA)
    del resolved["data"]["aus"]
    assert with_defaults(resolved)["data"]["aus"] == list(PAPER_AUS)
    # Some runs were made while the AUs of all arrays stood at the top of the config.
    before = with_defaults({**resolved, "aus": list(DISFA)})
    assert before["data"]["aus"] == list(DISFA) and "aus" not in before


def test_a_run_on_faces_that_cannot_be_drawn_is_refused():
    config = get_config()
    config.data.aus = DISFA
    with pytest.raises(ConfigError, match=r"config.data.aus has 5, 9, 20, 25, 26, which synthfacs does not draw"):
        check_config(config)


@pytest.mark.slow
@pytest.mark.parametrize("aus", [DISFA, (26,)], ids=["twelve", "one"])
def test_other_aus_are_trained_by_a_flag(tmp_path, scene, aus):
    pytest.importorskip("dlib")
    from au_jax.faces.video_writer import VideoWriter

    root = Path(__file__).parents[1]
    pictures, codes = scene
    for person in range(4):
        folder = tmp_path / f"raw/P{person}"
        folder.mkdir(parents=True)
        with VideoWriter(folder / "clip.mp4", 25.0, *pictures.shape[1:3]) as writer:
            for picture in pictures:
                writer.write(picture)
        # Any codes will do: those of the twelve that the scene shows, under other names.
        rows = [",".join(["frame", *(f"AU{au}" for au in DISFA)])]
        rows += [f"{number},{','.join(map(str, (row > 0).astype(int)))}" for number, row in enumerate(codes, 1)]
        (folder / "clip.csv").write_text("\n".join(rows) + "\n")
    options = [
        f"--config={root / 'configs/folder.py'}", f"--config.data.aus={aus}", "--config.data.image_size=72",
        "--config.data.crop_size=68", "--config.cnn.variant=demo", "--config.cnn.width=0.25", "--config.cnn.epochs=1",
        "--config.protocol.folds=2", "--config.evaluation.bootstrap=20",
    ]  # fmt: skip

    def run(module, *more):
        command = [sys.executable, "-m", module, *options, *more]
        environment = {**os.environ, "PYTHONPATH": str(root)}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]

    run("au_jax.prepare", "--raw=raw")
    run("au_jax.main", "--config.systems=('anet',)", "--workdir=runs/other")
    results = json.loads((tmp_path / "runs/other/results.json").read_text())
    assert set(results["systems"]["anet"]["f1_frame"]) == {*map(str, aus), "average"}
