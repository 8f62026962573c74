"""Rendered faces from config to dataset: prepared once, and refused where they cannot be meant."""

import pytest

from au_jax import files
from au_jax.config import load
from au_jax.data import preparation
from au_jax.data.preparation import check_copy, load_dataset, prepare, report_path
from au_jax.errors import ConfigError, UserError


@pytest.fixture
def data(tmp_path):
    data = load("demo:smoke").data
    data.directory, data.subjects, data.frames, data.workers = str(tmp_path), 2, 3, 1
    return data


def test_a_dataset_is_prepared_once_and_opened_after(data, tmp_path, monkeypatch):
    builder = prepare(data)
    assert set(builder.info.splits) == {"S001", "S002"}
    assert not (tmp_path / "recordings" / builder.builder_config.name).exists()
    monkeypatch.setattr(preparation, "write_recording", lambda *_: pytest.fail("prepared again"))
    dataset = load_dataset(data)
    assert dataset.subjects == ("S001", "S002")
    # Two videos of three frames each.
    assert dataset.records("S001").labels.shape == (3 * len(dataset.records("S001").videos), 12)


def test_another_process_that_prepares_the_same_is_waited_for_by_a_line(data, tmp_path):
    name = preparation.make_reader(data).name
    with files.locked(tmp_path / "recordings" / name), pytest.raises(UserError, match=f"{name} is in use"):
        prepare(data)


def test_rendered_faces_have_no_copy_to_check(data, tmp_path):
    with pytest.raises(ConfigError, match="config.data.source synthfacs is rendered; there is no copy to check"):
        check_copy(data)
    assert report_path(data).parent == tmp_path and not report_path(data).exists()
