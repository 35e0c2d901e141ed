import os

import spaces
import fugashi

TAGGER = fugashi.Tagger()


def compute():
    return [word.surface for word in TAGGER("すもももももももものうち")]


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
