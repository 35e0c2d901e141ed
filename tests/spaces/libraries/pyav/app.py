import os

import spaces
import io

import av
import numpy


def film():
    held = io.BytesIO()
    with av.open(held, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height = 640, 480
        for number in range(60):
            frame = av.VideoFrame.from_ndarray(numpy.full((480, 640, 3), number, numpy.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return held.getvalue()


with open("/tmp/film-of-pyav.mp4", "wb") as file:
    file.write(film())
OPENED = av.open("/tmp/film-of-pyav.mp4")
OPENED.streams.video[0].thread_type = "AUTO"


def compute():
    OPENED.seek(0)
    return sum(int(frame.to_ndarray(format="gray").mean()) for frame in OPENED.decode(video=0))


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
