"""MediaPipe's face mesh: 468 points of a face, those of them that are the landmarks of iBUG, and following a face by them.

The mesh is a regression from a square that is cut out around the face with the eyes level (Kartynnik et al., "Real-time facial
surface geometry from monocular video on mobile GPUs", CVPR workshops 2019). In the next frame the square is cut around the mesh
of the frame before; the detector (`au_jax.faces.blazeface`) is run only where the network says that its square shows no face. The
landmarks are smoothed by the 1-euro filter (Casiez et al., CHI 2012): the slower a point moves the more.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64, UInt8

from au_jax.faces import tracking
from au_jax.faces.blazeface import Detection, Square, cut, detect, load
from au_jax.faces.landmarks import Box
from au_jax.faces.tracking import Face, FaceTracker, box_around

_MARGIN = 1.5  # side of the square, in lengths of the face; what the network was trained with
_RIGHT_EYE, _LEFT_EYE = 33, 263  # vertices at the outer corners; a line through them is level in the square
_LEAST = 0.0  # score of a square that shows a face
_ONE = 0.3  # overlap of boxes that are of one face
# Logistic regression of "the mean error of the 49 landmarks is below 8 % of the distance of the outer eye corners" on the score:
# 792 frames of 50 synthetic people (turned heads, noise, blur, occlusion).
_SLOPE, _INTERCEPT = 0.34, -0.63
# Of the 1-euro filter: cut-off in cycles a frame of a point at rest, and by how much more at a speed of one face a frame.
# On the frames above, jitter is halved by it, and errors stay as they are, those of the lids too.
_FREQUENCY, _QUICKER = 0.1, 20.0
_SPEED_FREQUENCY = 0.3  # cycles a frame, of the speed

# The landmarks of iBUG-68 in the mesh, by anatomy: a vertex, or the middle of two.
# fmt: off
VERTICES: dict[str, tuple[int | tuple[int, int], ...]] = {
    # Ear to ear along the edge of the mesh, chin in the middle.
    "jaw": (127, 234, 93, (132, 58), 172, 136, (150, 149), (176, 148), 152,
            (377, 400), (378, 379), 365, 397, (288, 361), 323, 454, 356),
    # Along the upper edge, which the two divide at other places; the inner end lies between upper and lower edge.
    "right brow": (70, (63, 105), (105, 66), (66, 107), (107, 55)),
    "left brow": ((336, 285), (336, 296), (296, 334), (334, 293), 300),
    # From between the eyes to the tip.
    "nose bridge": ((168, 6), 197, 5, (4, 1)),
    # Below the wings, below the nostrils, below the septum.
    "nose base": ((98, 75), 97, 2, 326, (327, 305)),
    # Outer corner, upper lid, inner corner, lower lid.
    "right eye": (33, 160, 158, 133, 153, 144),
    # Inner corner, upper lid, outer corner, lower lid.
    "left eye": (362, 385, 387, 263, 373, 380),
    # Corner, upper edge, corner, lower edge; 37 and 267 are the peaks of Cupid's bow, 0 lies between.
    "outer lip": (61, (40, 39), 37, 0, 267, (269, 270), 291, (405, 321), 314, 17, 84, (91, 181)),
    "inner lip": (78, (81, 82), 13, (312, 311), 308, (402, 317), 14, (87, 178)),
}
# fmt: on
"""Part of the face -> its landmarks, in iBUG's order."""

_PAIRS = np.array(
    [vertex if isinstance(vertex, tuple) else (vertex, vertex) for part in VERTICES.values() for vertex in part]
)


@dataclass(frozen=True)
class Track:
    """A face that is followed.

    Attributes:
      mesh: [468, 2] pixels of the last frame, x then y.
      score: of the square that it was found in; above 0 where it shows a face.
      landmarks: [68, 2] float32, iBUG-68 order, smoothed over frames.
      speed: [68, 2] pixels a frame, smoothed.

    Example:
      >>> Track(np.zeros((468, 2)), 30.0, np.zeros((68, 2), np.float32), np.zeros((68, 2))).score
      30.0
    """

    mesh: Float64[np.ndarray, "468 2"]
    score: float
    landmarks: Float32[np.ndarray, "68 2"]
    speed: Float64[np.ndarray, "68 2"]

    @property
    def box(self) -> Box:
        """Where the face is, as `Face` has it."""
        return box_around(self.landmarks)

    @property
    def face(self) -> "MeshFace":
        """The face as `tracking.FaceTracker` has it."""
        return MeshFace(self.box, confidence_of(self.score), self.landmarks, track=self)


@dataclass(frozen=True, kw_only=True)
class MeshFace(Face):
    """A face with the track that it is the last of.

    Example:
      >>> track = Track(np.zeros((468, 2)), 30.0, np.ones((68, 2), np.float32), np.zeros((68, 2)))
      >>> track.face.track is track
      True
    """

    track: Track


def mesh_landmarks(mesh: Float[np.ndarray, "468 2"]) -> Float32[np.ndarray, "68 2"]:
    """The landmarks of iBUG-68 that a mesh has.

    Example:
      >>> numbers = np.arange(468.0).repeat(2).reshape(468, 2)
      >>> mesh_landmarks(numbers)[[30, 36, 45], 0].tolist()  # the nose tip is between two vertices
      [2.5, 33.0, 263.0]
    """
    return mesh[_PAIRS].mean(1).astype(np.float32)


def find_mesh(image: UInt8[np.ndarray, "H W 3"], square: Square) -> tuple[Float64[np.ndarray, "468 2"], float]:
    """The mesh of the face in a square.

    Args:
      image: [H, W, 3] uint8 RGB.
      square: around the face, the eyes level, as `square_of_detection` and `square_of_mesh` have it.

    Returns:
      [468, 2] pixels of the image, x then y, and a score, above 0 where the square shows a face.

    Raises:
      UserError: LiteRT or the models are not installed.

    Example:
      >>> from au_jax.faces import blazeface
      >>> if blazeface.is_installed():
      ...     mesh, score = find_mesh(np.zeros((90, 120, 3), np.uint8), Square(60.0, 45.0, 80.0, 0.0))
      ...     assert mesh.shape == (468, 2) and score < 0
    """
    network = load("mesh")
    points, score = network(cut(image, square, network.side).astype(np.float32) / np.float32(255))
    return square.to_picture(points.reshape(468, 3)[:, :2], network.side), float(score.reshape(()))


def square_of_detection(found: Detection) -> Square:
    """The square in which the mesh of a face that the detector saw is sought.

    Example:
      >>> keypoints = np.array([[40, 50], [40, 70], [0, 0], [0, 0], [0, 0], [0, 0]], np.float32)  # it lies on its side
      >>> square = square_of_detection(Detection((20.0, 30.0, 60.0, 60.0), 0.9, keypoints))
      >>> (square.x, square.y), square.side, round(math.degrees(square.angle))
      ((50.0, 60.0), 90.0, 90)
    """
    x, y, width, height = found.box
    (right, left) = found.keypoints[:2].astype(np.float64)
    return Square(x + width / 2, y + height / 2, _MARGIN * max(width, height), _angle(right, left))


def _square_of_box(box: Box) -> Square:
    x, y, width, height = box
    return Square(x + width / 2, y + height / 2, _MARGIN * max(width, height), 0.0)


def square_of_mesh(mesh: Float[np.ndarray, "468 2"]) -> Square:
    """The square in which the mesh of the next frame is sought.

    Example:
      >>> mesh = np.zeros((468, 2)) + [50, 50]
      >>> mesh[0], mesh[1], mesh[33], mesh[263] = (50, 10), (50, 90), (30, 40), (70, 40)
      >>> square_of_mesh(mesh)
      Square(x=50.0, y=50.0, side=120.0, angle=0.0)
    """
    angle = _angle(mesh[_RIGHT_EYE], mesh[_LEFT_EYE])
    cos, sin = math.cos(angle), math.sin(angle)
    level = np.asarray(mesh, np.float64) @ np.array([[cos, -sin], [sin, cos]])
    low, high = level.min(0), level.max(0)
    x, y = (low + high) / 2 @ np.array([[cos, sin], [-sin, cos]])
    return Square(float(x), float(y), _MARGIN * float((high - low).max()), angle)


def _angle(right: np.ndarray, left: np.ndarray) -> float:
    return math.atan2(float(left[1] - right[1]), float(left[0] - right[0]))


def start(image: UInt8[np.ndarray, "H W 3"], square: Square) -> Track | None:
    """Begins to follow the face in a square; None where it shows none.

    Raises:
      UserError: LiteRT or the models are not installed.

    Example:
      >>> from au_jax.faces import blazeface
      >>> if blazeface.is_installed():
      ...     assert start(np.zeros((90, 120, 3), np.uint8), Square(60.0, 45.0, 80.0, 0.0)) is None
    """
    track = _found(image, square)
    return track if track.score >= _LEAST and _is_inside(track.mesh, image) else None


def _found(image: np.ndarray, square: Square) -> Track:
    # A detector's box is coarse, and worse of faces that are turned: the mesh in it tells a better square.
    mesh, _ = find_mesh(image, square)
    mesh, score = find_mesh(image, square_of_mesh(mesh))
    return Track(mesh, score, mesh_landmarks(mesh), np.zeros((68, 2)))


def follow(image: UInt8[np.ndarray, "H W 3"], track: Track) -> Track | None:
    """A face in the next frame; None where it is not there any more.

    Raises:
      UserError: LiteRT or the models are not installed.

    Example:
      >>> from au_jax.faces import blazeface
      >>> mesh = np.random.default_rng(0).uniform(20, 80, (468, 2))
      >>> track = Track(mesh, 30.0, mesh_landmarks(mesh), np.zeros((68, 2)))
      >>> if blazeface.is_installed():
      ...     assert follow(np.zeros((90, 120, 3), np.uint8), track) is None
    """
    mesh, score = find_mesh(image, square_of_mesh(track.mesh))
    if score < _LEAST or not _is_inside(mesh, image):
        return None
    size = float(np.ptp(track.mesh, axis=0).max())
    landmarks, speed = smooth(track.landmarks, track.speed, mesh_landmarks(mesh), size)
    return Track(mesh, score, landmarks, speed)


def _is_inside(mesh: np.ndarray, image: np.ndarray) -> bool:
    x, y = mesh.mean(0)
    return bool(0 <= x < image.shape[1] and 0 <= y < image.shape[0])


def smooth(
    before: Float32[np.ndarray, "N 2"], speed: Float64[np.ndarray, "N 2"], now: Float32[np.ndarray, "N 2"], size: float
) -> tuple[Float32[np.ndarray, "N 2"], Float64[np.ndarray, "N 2"]]:
    """One step of the 1-euro filter, a low pass whose cut-off grows with the speed of each point.

    Args:
      before: [N, 2] smoothed points of the frame before, pixels.
      speed: [N, 2] their smoothed speed, pixels a frame.
      now: [N, 2] points of this frame.
      size: of the face in pixels, the unit of speeds.

    Returns:
      The smoothed points of this frame, and their speed.

    Reference: Casiez, Roussel and Vogel, "1 euro filter", CHI 2012.

    Example:
      >>> point, still = np.zeros((1, 2), np.float32), np.zeros((1, 2))
      >>> near, far = (smooth(point, still, point + np.float32(step), 100.0)[0][0, 0] / step for step in (0.1, 50))
      >>> bool(near < 0.6), bool(far > 0.9)  # a small step is taken for noise, a large one for movement
      (True, True)
    """
    moved = now.astype(np.float64) - before
    speed = speed + _share(_SPEED_FREQUENCY) * (moved - speed)
    quick = np.linalg.norm(speed, axis=1, keepdims=True) / max(size, 1.0)
    share = _share(_FREQUENCY + _QUICKER * quick)
    return (before + share * moved).astype(np.float32), speed


def _share(frequency: float | np.ndarray) -> float | np.ndarray:
    """Weight of the present value in a low pass, by its cut-off in cycles a step."""
    return 1 / (1 + 1 / (2 * math.pi * frequency))


def confidence_of(score: float) -> float:
    """How likely the landmarks of a face are right, by the mesh's score; on the scale of `tracking.confidence_of`.

    Example:
      >>> confidence_of(0.0) < confidence_of(20.0) < 1
      True
    """
    return 1 / (1 + math.exp(-(_SLOPE * score + _INTERCEPT)))


def detect_faces(
    image: UInt8[np.ndarray, "H W 3"], window: Box, scale: float, threshold: float
) -> list[tuple[Box, float]]:
    """Finds faces in a part of an image, as `landmarks.detect` does by dlib.

    Args:
      image: [H, W, 3] uint8 RGB.
      window: where to look; what lies outside the image is left out.
      scale: by which the window would be drawn larger before; where it has more than 480 pixels then, faces are sought in its
        parts as well.
      threshold: least score of the mesh; 0 is its own.

    Returns:
      Boxes as `Face` has them, with scores, best first.

    Raises:
      UserError: LiteRT or the models are not installed.

    Example:
      >>> from au_jax.faces import blazeface
      >>> image = np.zeros((90, 120, 3), np.uint8)
      >>> detect_faces(image, (0.0, 0.0, 120.0, 90.0), 1.0, 0.0) if blazeface.is_installed() else []
      []
    """
    known: list[Track] = []
    # Who is seen from afar does not hide who is seen from near alone.
    for track in sorted(itertools.chain(*_looks(image, window, scale)), key=lambda track: -track.score):
        if track.score >= threshold and all(tracking.overlap(track.box, other.box) < _ONE for other in known):
            known.append(track)
    return [(track.box, track.score) for track in known]


def _tracks(image: np.ndarray, window: Box, scale: float) -> list[Track]:
    """The faces of the first look that shows any, best first."""
    return next((sorted(known, key=lambda track: -track.score) for known in _looks(image, window, scale) if known), [])


def _looks(image: np.ndarray, window: Box, scale: float) -> Iterator[list[Track]]:
    x, y, width, height = window
    left, top = max(0, int(x)), max(0, int(y))
    part = image[top : max(top, math.ceil(y + height)), left : max(left, math.ceil(x + width))]
    if min(part.shape) < 1:
        return
    for found in _searches(part, scale * max(part.shape) > tracking._SMALL):
        tracks = [start(image, square_of_detection(each.moved(left, top))) for each in found]
        yield [track for track in tracks if track is not None]


def _searches(image: np.ndarray, closely: bool) -> Iterator[list[Detection]]:
    """What is seen in a whole picture, from afar and from near, and then in its parts, where faces half as large are seen."""
    yield detect(image, "far")
    yield detect(image, "near")
    if not closely:
        return
    found: list[Detection] = []
    height, width = image.shape[:2]
    side = min(max(height, width) // 2, height, width)
    for top in _starts(height, side):
        for left in _starts(width, side):
            for each in detect(image[top : top + side, left : left + side], "far"):
                moved = each.moved(left, top)
                # A face where two parts overlap is seen twice.
                if all(math.dist(moved.box[:2], other.box[:2]) > moved.box[2] / 2 for other in found):
                    found.append(moved)
    yield found


def _starts(length: int, side: int) -> list[int]:
    """Where parts of a length begin, which overlap by half and reach to its end."""
    count = math.ceil((length - side) / max(side / 2, 1)) + 1
    return [round(place) for place in np.linspace(0, length - side, count)]


def landmarked(image: UInt8[np.ndarray, "H W 3"], box: Box) -> MeshFace:
    """The face in a box, whether it looks like one or not.

    Raises:
      UserError: LiteRT or the models are not installed.

    Example:
      >>> from au_jax.faces import blazeface
      >>> if blazeface.is_installed():
      ...     assert landmarked(np.zeros((90, 120, 3), np.uint8), (20.0, 10.0, 60.0, 60.0)).confidence < 0.5
    """
    return _in_box(image, box).face


def _in_box(image: np.ndarray, box: Box) -> Track:
    track = _found(image, _square_of_box(box))
    if track.score >= _LEAST:
        return track
    # How a face is turned, which the box does not say, the detector sees.
    x, y, width, height = box
    near = _tracks(image, (x - width / 2, y - height / 2, 2 * width, 2 * height), 1.0)
    near = [each for each in near if tracking.overlap(each.box, box) > _ONE]
    return max(near, key=lambda each: tracking.overlap(each.box, box), default=track)


def upright_score(image: UInt8[np.ndarray, "H W 3"]) -> float:
    """Score of the best face whose eyes are level within 45 degrees; 0 where there is none.

    On synthetic scenes it is 28 in the median, and -1 of inverted faces. Faces that are seen in parts
    of a picture only do not count.

    Raises:
      UserError: LiteRT or the models are not installed.

    Example:
      >>> from au_jax.faces import blazeface
      >>> upright_score(np.zeros((90, 120, 3), np.uint8)) if blazeface.is_installed() else 0.0
      0.0
    """
    height, width = image.shape[:2]
    tracks = _tracks(image, (0, 0, width, height), tracking._SMALL / max(height, width))
    return max((track.score for track in tracks if abs(square_of_mesh(track.mesh).angle) < math.pi / 4), default=0.0)


class MeshTracker(FaceTracker):
    """Follows a face as `tracking.FaceTracker` does, by the face mesh.

    Every frame's mesh says whether it is a face, so that the detector is run where the face is lost only.

    Example:
      >>> from au_jax.faces import blazeface
      >>> tracker = MeshTracker()
      >>> tracker.find(np.zeros((120, 160, 3), np.uint8)) if blazeface.is_installed() else None  # nobody has come yet
    """

    landmarks = "mesh"

    def __init__(self, *options, **named):
        super().__init__(*options, **named)
        self._tracks: dict[Box, Track] = {}  # what the last search saw

    @staticmethod
    def detect_faces(
        image: UInt8[np.ndarray, "H W 3"], window: Box, scale: float, threshold: float
    ) -> list[tuple[Box, float]]:
        return detect_faces(image, window, scale, threshold)

    @staticmethod
    def face_in(image: UInt8[np.ndarray, "H W 3"], box: Box, score: float) -> Face:
        return landmarked(image, box)

    def _seen(self, image: np.ndarray, scale: float) -> list[tuple[Box, float]]:
        self._tracks = {track.box: track for track in _tracks(image, (0, 0, image.shape[1], image.shape[0]), scale)}
        return [(box, track.score) for box, track in self._tracks.items()]

    def _follow(self, image: np.ndarray, before: Face) -> Face | None:
        if self._unchecked + 1 >= tracking._CHECK_EVERY or not isinstance(before, MeshFace):
            return None
        track = follow(image, before.track)
        if track is not None:
            self._unchecked += 1
        return track and track.face

    def _check(self, image: np.ndarray, box: Box) -> Face | None:
        known = self._face
        if isinstance(known, MeshFace) and known.box == box:
            track = follow(image, known.track)
        else:
            track = self._tracks.get(box) or _in_box(image, box)
        shown = track is not None and track.score >= _LEAST and _is_inside(track.mesh, image)
        return self._kept(image, track.face) if track is not None and shown else None

    def _checked(self, image: np.ndarray, box: Box, score: float) -> Face:
        return self._kept(image, self.face_in(image, box, score))

    def _kept(self, image: np.ndarray, face: Face) -> Face:
        self._look, self._unchecked = tracking._look(image, face.box), 0
        return face
