"""Which landmarks faces are found and registered by: dlib's, or those of MediaPipe's face mesh.

A dataset is registered by one of them (`config.data.landmarks`), and what is trained on it sees faces registered by the same.
"""

from collections.abc import Callable
from typing import Any

from au_jax.faces.tracking import FaceTracker

BACKENDS: tuple[str, ...] = ("dlib", "mesh")
"""dlib's 68 landmarks, whose model is for non-commercial use, and the face mesh, whose models are under Apache-2.0."""


def make_tracker(landmarks: str = "dlib", *options: Any, **named: Any) -> FaceTracker:
    """A tracker that finds faces with one of `BACKENDS`.

    Args:
      landmarks: of `BACKENDS`.
      options, named: of `tracking.FaceTracker`.

    Example:
      >>> type(make_tracker("mesh")).__name__
      'MeshTracker'
    """
    makers: dict[str, Callable[..., FaceTracker]] = {"dlib": FaceTracker, "mesh": _mesh_tracker}
    return makers[landmarks](*options, **named)


def _mesh_tracker(*options: Any, **named: Any) -> FaceTracker:
    from au_jax.faces.face_mesh import MeshTracker

    return MeshTracker(*options, **named)
