#!/usr/bin/env bash
# PyAV 18.1.0 (its FFmpeg): the average rate of a raw DV file is its clock's ticks, 60000 frames/s.
#
# Camcorder tapes were captured as raw DV (.dv): every frame has the same size, and the format fixes the rate by its system,
# 25 (PAL) or 30000/1001 (NTSC). Laboratories keep such files of FACS-coded sessions.
#
# Expected: `average_rate`, the field that says how many frames a second a stream holds, is 25 or 30000/1001.
# Behaviour: it is 60000 for PAL and NTSC alike, the inverse of the stream's time base. `base_rate` and `guessed_rate` are
#   right, and so are the times of decoded frames. The number of frames is 0, unknown, so that who multiplies the duration
#   by the average rate instead finds 120000 frames in two seconds.
# Why it matters: codes given by seconds are put on the frame of that number by the rate; at 60000 frames/s every code of
#   a session lies behind its end, and progress bars and memory estimates are wrong by three orders of magnitude.
# Remedy: believe no rate above what cameras do, and take guessed_rate or the times of the first frames
#   (au_jax/faces/containers.py).
#
# Installs av 18.1.0 and numpy into a temporary folder and makes its own input. Ends with 0 while the behaviour is as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
from fractions import Fraction

import av
import numpy as np

print("PyAV", av.__version__)
assert av.__version__ == "18.1.0"
FRAMES = 50
for system, height, layout, rate in (("PAL", 576, "yuv420p", Fraction(25)), ("NTSC", 480, "yuv411p", Fraction(30000, 1001))):
    path = f"{system}.dv"
    with av.open(path, "w", format="dv") as container:
        stream = container.add_stream("dvvideo", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 720, height, layout
        for number in range(FRAMES):
            picture = np.full((height, 720, 3), number, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=layout)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with av.open(path) as container:
        video = container.streams.video[0]
        told = {"average": video.average_rate, "base": video.base_rate, "guessed": video.guessed_rate}
        times = [frame.time for frame in container.decode(video)]
    print(f"{system}: {len(times)} frames, a frame every {times[1] - times[0]:.5f} s;", told, "time base", video.time_base)
    assert len(times) == FRAMES and abs(times[1] - float(1 / rate)) < 1e-4
    assert told["average"] == 60000 == 1 / video.time_base, "the average rate is another now"
    assert told["base"] == told["guessed"] == rate and video.frames == 0
print("as described: the average rate of raw DV is 60000 frames/s, the guessed rate is right")
PYTHON
