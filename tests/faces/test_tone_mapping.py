"""High dynamic range becomes ordinary video: against the standards' own figures, and against the picture it was made from."""

from fractions import Fraction

import numpy as np
import pytest

from au_jax.faces.tone_mapping import PEAK, WHITE, compress, hlg_light, pq_light, to_sdr

av = pytest.importorskip("av")

from au_jax.faces.decoding import probe, read_video  # noqa: E402

# BT.2087's matrix from BT.709 to BT.2020, printed there to four digits.
TO_BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])


def pq_code(nits):
    """SMPTE ST 2084's inverse EOTF, in the form of its standard."""
    y = np.clip(nits / 10_000, 0, 1) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375


def hlg_code(light):
    """BT.2100: light of the reference display, cd/m2, back through its OOTF and OETF."""
    luminance = (light @ np.array([0.2627, 0.6780, 0.0593]))[..., None] / 1000
    scene = light / 1000 * np.maximum(luminance, 1e-9) ** (1 / 1.2 - 1)
    return np.where(
        scene <= 1 / 12, np.sqrt(3 * scene), 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    )


def face_like(height=96, width=128):
    """Skin, shade and colours in BT.709 code values, smooth, without the highest lights."""
    y, x = np.mgrid[0:height, 0:width] / [[[height]], [[width]]]
    return np.stack([0.25 + 0.55 * x, 0.2 + 0.4 * y, 0.15 + 0.3 * x * y], -1)


def write_hdr(path, sdr, transfer):
    light = (sdr**2.4 * WHITE) @ TO_BT2020.T
    code = pq_code(light) if transfer == 16 else hlg_code(light)
    image = np.ascontiguousarray(np.rint(code * 65535).astype(np.uint16))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx265", rate=25)
        stream.height, stream.width, stream.pix_fmt = *image.shape[:2], "yuv420p10le"
        stream.options = {"x265-params": "log-level=none", "crf": "4"}
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace, context.color_range = transfer, 9, 9, 1
        for number in range(2):
            frame = av.VideoFrame.from_ndarray(image, format="rgb48le")
            frame = frame.reformat(format="yuv420p10le", dst_colorspace="BT2020", dst_color_range=1)
            frame.color_trc, frame.color_primaries = transfer, 9
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_light_is_that_of_the_standards():
    # BT.2408-7, table 1: HLG 75 % and PQ 58 % are reference white; 38 % of either are 26 cd/m2 of an 18 % grey card.
    np.testing.assert_allclose(pq_light(np.array([0.58, 0.38])), [202, 26], rtol=0.02)
    np.testing.assert_allclose(hlg_light(np.array([[0.75] * 3, [0.38] * 3]))[:, 0], [203, 26], rtol=0.03)
    assert pq_light(pq_code(np.array([5.0, 80.0, 4000.0]))) == pytest.approx([5, 80, 4000])


def test_light_below_the_knee_stays_and_what_is_above_keeps_its_order_up_to_white():
    light = np.linspace(0, 1.2 * PEAK / WHITE, 2000)
    kept = compress(light)
    np.testing.assert_array_equal(kept[light <= 0.7], light[light <= 0.7])
    within = light <= PEAK / WHITE
    assert (np.diff(kept[within]) > 0).all() and kept.max() == 1.0 and kept[within].max() > 0.999


@pytest.mark.parametrize("transfer", [16, 18])
def test_a_face_in_high_dynamic_range_looks_as_it_did_before(tmp_path, transfer):
    sdr = face_like()
    path = write_hdr(tmp_path / "hdr.mp4", sdr, transfer)
    image = next(read_video(path)).image
    error = np.abs(image.astype(float) - 255 * sdr)
    assert error.mean() < 1.5 and np.percentile(error, 99) < 5
    # What was read before: BT.2020 code values, grey and flat.
    with av.open(str(path)) as container:
        flat = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert np.abs(flat - 255 * sdr).mean() > 10
    (note,) = probe(path).notes
    assert "high dynamic range" in note and ("PQ" if transfer == 16 else "HLG") in note and "tone-mapped" in note


def test_the_table_in_the_filter_is_the_function(tmp_path):
    # Beyond white as well: a forehead in the sun is no white patch.
    ramp = np.repeat(np.linspace(0.05, 1.6, 128)[None, :, None], 96, 0) * [1.0, 0.8, 0.6]
    path = write_hdr(tmp_path / "sun.mp4", ramp, 16)
    image = next(read_video(path)).image[48].astype(float)
    expected = 255 * to_sdr(pq_code((ramp[48] ** 2.4 * WHITE) @ TO_BT2020.T), 16, 9)
    assert np.abs(image - expected)[4:-4].max() < 4
    red = image[:, 0]
    assert red[-8] > red[90] + 5 > red[70] + 10 and red[-8] <= 255
