"""Either backend can be asked for by its name."""

import typing

from au_jax.config import DataConfig
from au_jax.faces.backends import BACKENDS, make_tracker
from au_jax.faces.face_mesh import MeshTracker
from au_jax.faces.tracking import FaceTracker
from au_jax.options import Choices, declared


def test_the_config_knows_the_backends_and_old_datasets_are_of_the_first():
    field = declared(DataConfig())["landmarks"]
    assert typing.cast(Choices, field.constraint).values == BACKENDS and field.default == BACKENDS[0] == "dlib"


def test_a_tracker_of_each_backend_is_made():
    assert type(make_tracker()) is FaceTracker and [type(make_tracker(name)) for name in BACKENDS] == [
        FaceTracker,
        MeshTracker,
    ]
