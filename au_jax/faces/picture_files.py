"""Pictures on disk: which files of a folder are the frames of a video, and reading one as 8-bit RGB."""

import re
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from au_jax.errors import UserError

MAX_PIXELS: int = 8192 * 8192
"""Larger pictures are refused by what their header says, before memory is taken for them."""

_SUFFIXES = (".jpg", ".jpeg", ".png")
_LARGEST = np.iinfo(np.int32).max  # frame numbers are int32 in recordings


def frame_files(folder: str | Path) -> dict[int, Path]:
    """Returns the frames of a folder by number, in order; other files are left out.

    A frame is a .jpg, .jpeg or .png (in any case) whose name ends in digits: their integer value is its number, so that
    `5.jpg`, `0005.jpg` and `clip_5.JPG` are all frame 5.

    Raises:
      UserError: no such folder, two files of one number, or a number beyond 32 bits.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"there is no folder of frames {folder}; check the path")
    files: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        digits = re.search(r"[0-9]+$", path.stem)
        if path.suffix.lower() not in _SUFFIXES or digits is None or path.name.startswith("."):
            continue
        number = int(digits.group())
        if number > _LARGEST:
            raise UserError(f"{path} has frame number {number}, more than {_LARGEST}; rename the frames")
        if number in files:
            raise UserError(f"{folder}: {files[number].name} and {path.name} are both frame {number}; remove one")
        files[number] = path
    return dict(sorted(files.items()))


def read_picture(path: str | Path) -> np.ndarray | None:
    """Reads a picture, turned as its EXIF entry says.

    16-bit samples are scaled to 8 bits, grey becomes RGB, and what is transparent lies on black.

    Returns:
      [H, W, 3] uint8 RGB, or None where the file is damaged, cut off or no picture.

    Raises:
      UserError: the picture is larger than `MAX_PIXELS`, or the file may not be read.
    """
    try:
        # Pillow would open many more by their content, and start another program for some.
        with Image.open(path, formats=("JPEG", "PNG")) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise _too_large(path, f"{picture.width} x {picture.height}")
            picture.load()
            return _rgb(ImageOps.exif_transpose(picture))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(path, "very many") from error
    except (FileNotFoundError, PermissionError) as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from error
    except UserError:
        raise
    # What Pillow raises for damaged files, depending on the format and on where the damage is.
    except (OSError, SyntaxError, ValueError, TypeError, EOFError, LookupError, struct.error, zlib.error):
        return None


def _too_large(path: str | Path, size: str) -> UserError:
    return UserError(f"{path} is a picture of {size} pixels, more than {MAX_PIXELS}; scale it down")


def _rgb(picture: Image.Image) -> np.ndarray:
    if picture.mode.startswith("I"):  # 16-bit grey; Pillow would clip it at 255
        grey = np.rint(np.asarray(picture).astype(np.float64) / 257).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if picture.has_transparency_data:
        opaque = Image.new("RGBA", picture.size, (0, 0, 0, 255))
        picture = Image.alpha_composite(opaque, picture.convert("RGBA"))
    return np.array(picture.convert("RGB"))
