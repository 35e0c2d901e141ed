import os

import spaces
import pymupdf

PAPER = pymupdf.open()
PAPER.new_page().insert_text((72, 72), "a page of text")


def compute():
    return PAPER[0].get_text(), len(PAPER[0].get_pixmap().tobytes())


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
