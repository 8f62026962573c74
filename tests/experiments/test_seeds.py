"""The table over seeds is made of finished runs that differ in nothing else."""

import json
import shutil

import pytest

from au_jax import files
from au_jax.errors import UserError
from experiments import seeds


@pytest.fixture
def another(finished, tmp_path):
    """A copy of the finished run, as another seed's: (seed, changes of the config) -> its folder."""

    def make(seed, **changes):
        folder = tmp_path / f"seed{seed}"
        folder.mkdir()
        for name in ("config.json", "results.json"):
            shutil.copy(finished / name, folder)
        config, results = (files.read_json(folder / name) for name in ("config.json", "results.json"))
        config["seed"] = config["data"]["render_seed"] = results["seed"] = seed
        config["cnn"].update(changes)
        for figures in results["systems"].values():
            figures["f1_frame"]["average"] += 2.0
        files.write_json(folder / "config.json", config)
        files.write_json(folder / "results.json", results)
        return str(folder)

    return make


def test_runs_of_two_seeds_make_one_table(finished, another, tmp_path, capsys):
    seeds.seeds([str(finished), another(5)], [], "f1_frame", str(tmp_path / "tables"))
    written = json.loads((tmp_path / "tables/seeds.json").read_text())
    averages = json.loads((finished / "results.json").read_text())["systems"]
    assert written["seeds"] == [0, 5] and list(written["systems"]) == list(averages)
    for name, figures in averages.items():
        assert written["systems"][name]["mean"] == pytest.approx(figures["f1_frame"]["average"] + 1.0)
    assert capsys.readouterr().out.strip() == (tmp_path / "tables/seeds.md").read_text().strip()


def test_what_differs_in_more_than_the_seed_is_refused(finished, another, tmp_path):
    other = another(5, epochs=17)
    for here, beside in (([str(finished), other], []), ([str(finished)], [other])):
        with pytest.raises(UserError, match=r"cnn\.epochs: .* 17 now"):
            seeds.seeds(here, beside, "f1_frame", str(tmp_path / "tables"))
    assert not (tmp_path / "tables").exists()


def test_a_seed_given_twice_and_other_seeds_beside_are_refused(finished, another, tmp_path):
    with pytest.raises(UserError, match="both have seed 0"):
        seeds.seeds([str(finished)] * 2, [], "f1_frame", str(tmp_path))
    with pytest.raises(UserError, match=r"seeds \[0\], --beside \[5\]"):
        seeds.seeds([str(finished)], [another(5)], "f1_frame", str(tmp_path))
