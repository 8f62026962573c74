"""Flipped bytes, cuts and exchanges in every file of a prepared dataset: refused by name, made again, or no value changes."""

import shutil

import numpy as np
import pytest

from au_jax.config import get_config
from au_jax.data.dataset import FaceDataset, FaceSet
from au_jax.data.input_pipeline import read_frames
from au_jax.data.preparation import prepare
from au_jax.errors import UserError

from ..data.conftest import stand_in, write_picture, write_text
from .conftest import amounts
from .test_whole_runs import damaged

__all__ = ["stand_in"]  # a fixture
SUBJECTS, FRAMES = ("anna", "bert", "mia"), 3


def data_in(home, raw):
    data = get_config().data
    data.source, data.raw, data.directory, data.image_size, data.workers = "folder", raw, str(home), 8, 1
    data.aus = (12,)
    return data


@pytest.fixture
def home(tmp_path, stand_in):
    """Three people's recordings, and a dataset of them."""
    for person, name in enumerate(SUBJECTS):
        for number in range(1, FRAMES + 1):
            write_picture(tmp_path / "raw" / name / "clip" / f"{number}.png", 50 * person + 10 * number)
        rows = "".join(f"{number},{(number + person) % 2}\n" for number in range(1, FRAMES + 1))
        write_text(tmp_path / "raw" / name / "clip.csv", f"frame,AU12\n{rows}")
    prepare(data_in(tmp_path, str(tmp_path / "raw")))
    return tmp_path


def everything(data):
    """All that is read of a dataset."""
    dataset = FaceDataset(prepare(data))
    faces = FaceSet(dataset, dataset.subjects)
    images = np.stack(list(read_frames(faces, range(len(faces)))))
    keys = np.repeat([video.key for video in faces.videos], [len(video) for video in faces.videos])
    return keys, images, faces.labels, faces.landmarks, faces.frame_numbers, faces.face_detected


@amounts(usual=2, slow=100)
@pytest.mark.parametrize("with_raw", [False, True], ids=["without the recordings", "with the recordings"])
def test_damage_to_a_file_of_a_dataset_is_named_or_mended(home, with_raw, seeds):
    data, folder = data_in(home, str(home / "raw") if with_raw else ""), home / "tfds"
    truth = everything(data)
    shutil.copytree(folder, home / "copy")
    places = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    assert len(places) >= len(SUBJECTS) + 3
    for place in places:
        others = [folder / other for other in places if other.suffix == place.suffix and other != place]
        for seed in seeds:
            generator = np.random.default_rng([seed, 53, sum(map(ord, place.name))])
            kind, changed = damaged((folder / place).read_bytes(), others, generator)
            (folder / place).write_bytes(changed)
            try:
                found = everything(data)
            except UserError as error:
                assert "\n" not in str(error) and str(folder) in str(error), (place, kind, error)
            else:
                for one, other in zip(found, truth, strict=True):
                    np.testing.assert_array_equal(one, other, err_msg=f"{place} {kind} {seed}")
            shutil.rmtree(folder)
            shutil.copytree(home / "copy", folder)
