"""Nothing that is loaded is executed, names lead nowhere else, and headers do not decide how much memory is taken."""

import ast
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from au_jax.data.dataset import FaceDataset
from au_jax.data.recordings import Faces, RecordingId, safe_name, write_recording
from au_jax.errors import UserError
from au_jax.faces.frame_folder import read_picture

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for folder in ("au_jax", "configs", "experiments") for path in (ROOT / folder).rglob("*.py"))
MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
EXECUTING = {
    "eval", "exec", "compile", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load", "yaml.full_load",
    "torch.load", "np.fromfile", "np.memmap", "tf.saved_model.load", "tf.keras.models.load_model",
}  # fmt: skip


def called(node):
    """The dotted name of what is called."""
    parts, function = [], node.func
    while isinstance(function, ast.Attribute):
        parts.append(function.attr)
        function = function.value
    return ".".join([function.id, *reversed(parts)]) if isinstance(function, ast.Name) else ""


def faults(source):
    """What in a module could execute what it reads, each with its line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            found += [f"{node.lineno}: imports {name}" for name in names if name.split(".")[0] in MODULES]
        if not isinstance(node, ast.Call):
            continue
        name, options = called(node), {keyword.arg: keyword.value for keyword in node.keywords}
        values = {key: getattr(value, "value", None) for key, value in options.items()}
        if name in EXECUTING:
            found.append(f"{node.lineno}: calls {name}")
        if name.endswith(("np.load", "numpy.load")) and values.get("allow_pickle") is not False:
            found.append(f"{node.lineno}: {name} without allow_pickle=False")
        if values.get("allow_pickle"):
            found.append(f"{node.lineno}: allow_pickle")
        if "shell" in options and values["shell"] is not False:
            found.append(f"{node.lineno}: {name} through a shell")
    return found


@pytest.mark.parametrize(
    "line",
    [
        "import pickle", "from joblib import load", "eval(text)", "exec(text)", "yaml.load(stream)", "np.load(path)",
        "numpy.load(path, allow_pickle=True)", "np.lib.format.read_array(s, allow_pickle=True)", "os.system(text)",
        "subprocess.run(text, shell=True)", "torch.load(path)", "import cloudpickle as c",
    ],
)  # fmt: skip
def test_what_executes_is_recognised(line):
    assert len(faults(line)) >= 1


def test_no_module_executes_what_it_reads():
    assert len(SOURCES) > 100
    found = [f"{path.relative_to(ROOT)}:{fault}" for path in SOURCES for fault in faults(path.read_text())]
    assert found == []


@pytest.mark.parametrize("name", ["../x", "..", "/etc/x", "a/b", "a\\b", "~x", "x\0", "", ".", "-rf", "a b", "é"])
def test_names_become_safe_and_unsafe_ones_are_refused(tmp_path, name):
    made = safe_name(name)
    assert "/" not in made and "." not in made and "\0" not in made
    faces = Faces(
        np.zeros((1, 8, 8, 3), np.uint8), np.zeros((1, 12), np.int8), np.zeros((1, 49, 2), np.float32),
        np.ones(1, np.int32), np.ones(1, bool),
    )  # fmt: skip
    for recording in (RecordingId(name, "T1"), RecordingId("F001", name)):
        with pytest.raises(ValueError, match="is no name for a file"):
            write_recording(tmp_path / "recordings", recording, iter([faces]), 90)
    assert list(tmp_path.rglob("*")) == []


def test_a_dataset_from_elsewhere_cannot_name_files_of_a_run():
    class Features(dict):
        shape = (8, 8, 3)

    class Info:
        features, splits = {"image": Features()}, {"F001": None, "../../F002": None}

    class Builder:
        info, data_dir = Info(), "data/tfds/x"

    with pytest.raises(UserError, match=r"a subject called '\.\./\.\./F002'"):
        FaceDataset(Builder())


def png_of(width, height):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def jpeg_of(width, height, tmp_path):
    path = tmp_path / "small.jpg"
    Image.new("RGB", (8, 8)).save(path)
    data = bytearray(path.read_bytes())
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(data)


@pytest.mark.parametrize("form", ["png", "jpg"])
def test_a_picture_of_60000_by_60000_is_refused_by_its_header(tmp_path, form):
    content = png_of(60000, 60000) if form == "png" else jpeg_of(60000, 60000, tmp_path)
    path = tmp_path / f"1.{form}"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"1\.{form} is an image of .* pixels, more than"):
        read_picture(path)


def test_a_video_of_60000_by_60000_is_refused_by_its_header(tmp_path):
    av = pytest.importorskip("av")
    from au_jax.faces.decoding import probe, read_video

    path = tmp_path / "v.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
        container.mux([*stream.encode(frame), *stream.encode(None)])
    data = path.read_bytes()
    whole = data
    # Width and height in the stream's format, then in the picture's own header as well.
    data = data.replace(struct.pack("<ii", 64, 48), struct.pack("<ii", 60000, 60000))
    place = data.index(b"\xff\xc0") + 5
    assert data != whole and data[place : place + 4] == struct.pack(">HH", 48, 64)
    path.write_bytes(data)
    # Where the picture knows better than its container, its own size counts.
    assert [picture.image.shape for picture in read_video(path)] == [(48, 64, 3)]
    path.write_bytes(data[:place] + struct.pack(">HH", 60000, 60000) + data[place + 4 :])
    for read in (probe, lambda path: list(read_video(path))):
        with pytest.raises(UserError, match=r"v\.avi"):
            read(path)


def test_a_picture_of_another_format_under_a_jpegs_name_is_not_opened(tmp_path):
    for form in ("GIF", "BMP", "TIFF", "PPM", "EPS"):
        Image.new("RGB", (8, 8)).save(tmp_path / "1.jpg", format=form)
        assert read_picture(tmp_path / "1.jpg") is None
