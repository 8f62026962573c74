"""Folders of numbered pictures, and pictures in files, by Pillow."""

import re
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from au_jax.errors import DataError, UserError
from au_jax.faces.frame_pixels import range_note, to_8_bits, used_bits

MAX_PIXELS: int = 8192 * 8192
"""Larger images are refused by what their header says, before memory is taken for them."""

PICTURE_SUFFIXES: tuple[str, ...] = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")
"""Of files that are pictures, in small letters."""

_LARGEST = np.iinfo(np.int32).max  # frame numbers are int32 in recordings
_SAMPLED = 5  # pictures of a folder that tell how many of 16 bits it uses


@dataclass(frozen=True)
class FrameFiles:
    """The pictures of a folder in their order.

    Attributes:
      files: number -> file, in order.
      doubt: why the order or the numbers may not be those that are meant, in one line; "" where there is no doubt.

    Example:
      >>> FrameFiles({1: Path("f-11-57.jpg")}, "").files[1].name
      'f-11-57.jpg'
    """

    files: dict[int, Path]
    doubt: str


def order_frames(folder: str | Path) -> FrameFiles:
    """Finds the pictures of a folder, their order and their numbers.

    Pictures have a suffix of `PICTURE_SUFFIXES` (in any case) and a number anywhere in their name. With one number in the
    names it is the frame's: `5.jpg`, `0005_left.jpg` and `clip_5.JPG` are all frame 5. Where names are alike but for
    several numbers, the files are in natural order over all of them, as in `f-11-57-990.jpg`, `f-11-58-010.jpg`; the
    frame's number is the last of those that grow from each file to the next, and where none does, frames are counted from
    1, which `doubt` says.

    Raises:
      DataError: no such folder, two files of one number, or a number beyond 32 bits.

    Example:
      >>> import tempfile
      >>> clock = Path(tempfile.mkdtemp())
      >>> for name in ("f-11-58-010.jpg", "f-11-57-990.jpg", "f-11-57-500.jpg"):
      ...     (clock / name).touch()
      >>> found = order_frames(clock)
      >>> [path.name for path in found.files.values()], list(found.files), found.doubt[:38]
      (['f-11-57-500.jpg', 'f-11-57-990.jpg', 'f-11-58-010.jpg'], [1, 2, 3], 'names differ in 2 numbers, of which no')
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"there is no folder of frames {folder}; check the path")
    named = {path: _parts(path.stem) for path in sorted(folder.iterdir()) if is_numbered_picture(path.name)}
    doubt = ""
    if len({(texts, len(numbers)) for texts, numbers in named.values()}) == 1:
        ordered = sorted(named, key=lambda path: (named[path][1], path.name))
        columns = list(zip(*(named[path][1] for path in ordered), strict=True))
        varying = [column for column in columns if len(set(column)) > 1]
        growing = [column for column in varying if all(a < b for a, b in zip(column, column[1:], strict=False))]
        if growing or len(varying) < 2:
            counted = list(zip((growing or columns)[-1], ordered, strict=True))
        else:
            _refuse_doubles(folder, [(named[path][1], path) for path in ordered])
            counted = list(enumerate(ordered, 1))
            doubt = (
                f"names differ in {len(varying)} numbers, of which none grows from file to file: they are taken in natural "
                f"order, {ordered[0].name} to {ordered[-1].name}, and counted from 1; rename them if another order is meant"
            )
    else:
        counted = sorted(((numbers[-1], path) for path, (_, numbers) in named.items()), key=lambda pair: pair[0])
        if named and any(len(numbers) > 1 for _, numbers in named.values()):
            doubt = "names are built in several ways: the last number in each is taken for the frame's"
    _refuse_doubles(folder, [(f"frame {number}", path) for number, path in counted])
    for number, path in counted:
        if number > _LARGEST:
            raise DataError(f"{path} has frame number {number}, more than {_LARGEST}; rename the frames")
    return FrameFiles(dict(counted), doubt)


def frame_files(folder: str | Path) -> dict[int, Path]:
    """The files of a folder that are frames, by number and in order (`order_frames`); other files are left out.

    Raises:
      DataError: as `order_frames`.

    Example:
      >>> import tempfile
      >>> folder = Path(tempfile.mkdtemp())
      >>> for name in ("clip_10.jpg", "clip_9.jpg", "notes.txt"):
      ...     (folder / name).touch()
      >>> [(number, path.name) for number, path in frame_files(folder).items()]
      [(9, 'clip_9.jpg'), (10, 'clip_10.jpg')]
    """
    return order_frames(folder).files


def is_numbered_picture(name: str) -> bool:
    """Whether a file is a frame by its name.

    Example:
      >>> [is_numbered_picture(name) for name in ("0001_left.TIF", "cover.jpg", ".1.png", "1.mp4")]
      [True, False, False, False]
    """
    path = Path(name)
    return (
        path.suffix.lower() in PICTURE_SUFFIXES
        and not name.startswith(".")
        and re.search("[0-9]", path.stem) is not None
    )


def _parts(stem: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """What stands around the numbers of a name, and the numbers."""
    pieces = re.split("([0-9]+)", stem)
    return tuple(pieces[::2]), tuple(int(piece) for piece in pieces[1::2])


def _refuse_doubles(folder: Path, keyed: list[tuple[object, Path]]) -> None:
    seen: dict[object, Path] = {}
    for key, path in keyed:
        if key in seen:
            alike = key if isinstance(key, str) else "of the same numbers"
            first, second = sorted((seen[key].name, path.name))
            raise DataError(f"{folder}: {first} and {second} are both {alike}; remove one")
        seen[key] = path


def folder_bits(files: dict[int, Path]) -> int:
    """How many bits the 16-bit pictures of a folder use, as a few of them all over it tell; 16 where they are of another kind.

    Args:
      files: of the whole folder in order: every reader of it stretches pictures alike, wherever it begins.

    Example:
      >>> import tempfile
      >>> place = Path(tempfile.mkdtemp())
      >>> for number in (1, 2):
      ...     Image.fromarray(np.full((2, 2), 1500 * number, np.uint16)).save(place / f"{number}.png")
      >>> folder_bits(frame_files(place))
      12
    """
    paths = list(files.values())
    step = max(1, (len(paths) - 1) // (_SAMPLED - 1))
    peaks = [_peak(path) for path in dict.fromkeys([*paths[::step], paths[-1]])]
    deep = [peak for peak in peaks if peak is not None]
    return used_bits(max(deep)) if deep else 16


def _peak(path: Path) -> int | None:
    """The largest value of a 16-bit picture; None where it is of another kind or cannot be read."""
    try:
        with Image.open(path, formats=_formats(path)) as image:
            if not image.mode.startswith("I") or image.width * image.height > MAX_PIXELS:
                return None
            return int(np.asarray(image).max())
    except _DAMAGES:
        return None


def folder_notes(found: FrameFiles) -> list[str]:
    """What should be known of how a folder of frames is read, in lines.

    Example:
      >>> place = folder / "plain"
      >>> place.mkdir()
      >>> Image.new("L", (4, 2)).save(place / "1.png")
      >>> folder_notes(order_frames(place))
      []
    """
    bits = folder_bits(found.files) if found.files else 16
    return [note for note in (found.doubt, "" if bits == 16 else range_note(bits)) if note]


# Pillow would open many more by their content, and start another program for some.
_FORMATS = {".bmp": ("BMP",), ".tif": ("TIFF",), ".tiff": ("TIFF",)}
"""Formats of Pillow by suffix; else JPEG and PNG, which go under each other's name."""
# What Pillow raises for damaged files, depending on the format and on where the damage is.
_DAMAGES = (
    OSError, SyntaxError, ValueError, TypeError, EOFError, LookupError, struct.error, zlib.error,
    Image.DecompressionBombError, Image.DecompressionBombWarning, RuntimeError,
)  # fmt: skip


def read_picture(path: str | Path, bits: int = 16) -> UInt8[np.ndarray, "H W 3"] | None:
    """Reads an image file, turned as its EXIF entry says; of a TIFF the first page.

    16-bit samples are scaled to 8 bits, grey becomes RGB, and what is transparent lies on black.

    Args:
      path: of a JPEG, PNG, BMP or TIFF.
      bits: that 16-bit samples use (`folder_bits`).

    Returns:
      [H, W, 3] uint8 RGB, or None where the file is damaged, cut off or no image.

    Raises:
      DataError: the image is larger than `MAX_PIXELS`, or the file may not be read.

    Example:
      >>> Image.new("L", (4, 2), 200).save(folder / "grey.png")
      >>> read_picture(folder / "grey.png")[0, 0].tolist()
      [200, 200, 200]
      >>> (folder / "cut.jpg").touch()
      >>> read_picture(folder / "cut.jpg") is None
      True
    """
    try:
        with Image.open(path, formats=_formats(path)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise _too_large(path, f"{image.width} x {image.height}")
            image.load()
            # In place: otherwise a picture that stands upright is copied.
            ImageOps.exif_transpose(image, in_place=True)
            return _rgb(image, bits)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(path, "very many") from error
    except (FileNotFoundError, PermissionError) as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); check its name and permissions") from error
    except UserError:
        raise
    except _DAMAGES:
        return None


def _formats(path: str | Path) -> tuple[str, ...]:
    return _FORMATS.get(Path(path).suffix.lower(), ("JPEG", "PNG"))


def _too_large(path: str | Path, size: str) -> DataError:
    return DataError(f"{path} is an image of {size} pixels, more than {MAX_PIXELS}; scale it down")


def _rgb(image: Image.Image, bits: int) -> np.ndarray:
    if image.mode.startswith("I"):  # 16-bit grey; Pillow would clip it at 255
        grey = to_8_bits(np.asarray(image).clip(0, 65535).astype(np.uint16), bits)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.has_transparency_data:
        opaque = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(opaque, image.convert("RGBA"))
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))
