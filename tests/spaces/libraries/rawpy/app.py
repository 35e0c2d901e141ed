import os

import spaces
import struct
import tempfile

import numpy
import rawpy

SIDE = 512
FORMATS = {1: "B", 2: "c", 3: "H", 4: "I", 5: "I", 10: "i"}


def negative():
    """The path of the smallest DNG: noise below a Bayer filter."""
    pixels = (numpy.random.default_rng(0).random((SIDE, SIDE)) * 60_000).astype("<u2").tobytes()
    matrix = [number for place in range(9) for number in (int(place % 4 == 0), 1)]
    tags = [
        *((256, 4, [SIDE]), (257, 4, [SIDE]), (258, 3, [16]), (259, 3, [1]), (262, 3, [32803])),
        *((273, 4, [8]), (277, 3, [1]), (278, 4, [SIDE]), (279, 4, [len(pixels)])),
        *((33421, 3, [2, 2]), (33422, 1, [0, 1, 1, 2])),
        *((50706, 1, [1, 4, 0, 0]), (50717, 4, [65535]), (50721, 10, matrix), (50728, 5, [1] * 6), (50778, 3, [21])),
    ]
    entries, longer = b"", b""
    beside = 8 + len(pixels) + 2 + 12 * len(tags) + 4
    for tag, kind, values in tags:
        data = struct.pack(f"<{len(values)}{FORMATS[kind]}", *values)
        count = len(values) // 2 if kind in (5, 10) else len(values)
        place = data.ljust(4, b"\0") if len(data) <= 4 else struct.pack("<I", beside + len(longer))
        longer += data if len(data) > 4 else b""
        entries += struct.pack("<HHI", tag, kind, count) + place
    with tempfile.NamedTemporaryFile(suffix=".dng", delete=False) as file:
        header = b"II*\0" + struct.pack("<I", 8 + len(pixels))
        file.write(header + pixels + struct.pack("<H", len(tags)) + entries + bytes(4) + longer)
    return file.name


PATH = negative()


def compute():
    with rawpy.imread(PATH) as opened:
        return int(opened.postprocess().astype(int).sum())


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
