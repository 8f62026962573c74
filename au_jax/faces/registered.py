"""Pictures of a video as registered faces, one for every picture."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from au_jax.faces.registration import TEMPLATE, TEMPLATE_SIZE, register
from au_jax.faces.tracking import Face, FaceTracker, inner_landmarks
from au_jax.faces.video import Picture


@dataclass(frozen=True)
class RegisteredFace:
    """A face on the template, and where it comes from.

    Attributes:
      number, timestamp: as in `Picture`.
      picture: [H, W, 3] uint8 RGB, the whole frame; None where it could not be read.
      image: [size, size, 3] uint8 RGB; where no face was found the last registered face again, black before the first.
      landmarks: [49, 2] float32, x then y, in `image`; the template before the first face.
      face: where it is in `picture`; None where no face was found.
    """

    number: int
    timestamp: float
    picture: np.ndarray | None
    image: np.ndarray
    landmarks: np.ndarray
    face: Face | None


def register_pictures(
    pictures: Iterable[Picture], size: int = TEMPLATE_SIZE, tracker: FaceTracker | None = None
) -> Iterator[RegisteredFace]:
    """Follows a face through a video and registers it; memory does not grow with the video's length.

    Args:
      pictures: the video, in order.
      size: side of the registered faces in pixels.
      tracker: goes on from where it is; a new one where None.

    Yields:
      RegisteredFace, one for every picture.

    Raises:
      UserError: as `pictures` does; dlib or its landmark model is not installed.
    """
    tracker = tracker or FaceTracker()
    image, landmarks = np.zeros((size, size, 3), np.uint8), TEMPLATE * np.float32(size / TEMPLATE_SIZE)
    for picture in pictures:
        face = None
        if picture.image is not None:
            face = tracker.find(picture.image)
            if face is not None:
                image, landmarks = register(picture.image, inner_landmarks(face.landmarks), size)
        yield RegisteredFace(picture.number, picture.timestamp, picture.image, image, landmarks, face)
