import os

import spaces
import spacy

LANGUAGE = spacy.blank("en")
LANGUAGE.add_pipe("sentencizer")


def compute():
    return sum(len(list(each.sents)) for each in LANGUAGE.pipe(["One. Two. Three."] * 500))


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
