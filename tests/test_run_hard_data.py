"""A dataset in which a subject shows no face, an AU has no codes and another never goes away: every system copes."""

import dataclasses

import numpy as np
import pytest

from au_jax import files
from au_jax.data.readers.synthfacs import SynthfacsReader
from au_jax.labels import PAPER_AUS
from au_jax.run import run

pytestmark = [pytest.mark.optax, pytest.mark.slow]

FACELESS, UNCODED, CONSTANT = "S002", 23, 4


@pytest.fixture
def hard(monkeypatch):
    whole = SynthfacsReader.faces

    def faces(self, recording):
        for part in whole(self, recording):
            labels = part.labels.copy()
            labels[:, PAPER_AUS.index(UNCODED)] = 0
            column = labels[:, PAPER_AUS.index(CONSTANT)]
            column[column != 0] = 1
            found = np.full(len(labels), recording.subject != FACELESS) & part.found
            yield dataclasses.replace(part, labels=np.where(found[:, None], labels, np.int8(0)), found=found)

    monkeypatch.setattr(SynthfacsReader, "faces", faces)


def test_undefined_aus_are_told_and_a_subject_without_faces_counts_for_nothing(hard, config, tmp_path):
    config.data.directory = str(tmp_path / "data")
    config.systems = ("hog_svm", "cpm", "jpml", "anet", "hybrid")
    run(config, tmp_path / "run")
    results = files.read_json(tmp_path / "run/results.json")
    for name, figures in results["systems"].items():
        for au in (UNCODED, CONSTANT):
            assert figures["f1_frame"][str(au)] is None, (name, au)
        assert figures["defined_aus"] <= 10 and 0 <= figures["f1_frame"]["average"] <= 100
        counted = sum(figures["counts"]["12"].values())
        labels = [
            rows
            for fold in (0, 1)
            for key, rows in files.read_npz(tmp_path / f"run/fold_{fold:02d}/scores/{name}.npz").items()
            if key.endswith("/labels")
        ]
        assert counted == (np.concatenate(labels)[:, PAPER_AUS.index(12)] != 0).sum()
    table = (tmp_path / "run/results.md").read_text().splitlines()
    (row,) = [line for line in table if line.startswith(f"|{UNCODED:9d} |")]
    assert row.count(" - |") == len(results["systems"]) + 1
