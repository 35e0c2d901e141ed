import os

import spaces
import annoy

INDEX = annoy.AnnoyIndex(8, "euclidean")
INDEX.set_seed(1)
for number in range(5000):
    INDEX.add_item(number, [number / (each + 1) for each in range(8)])
INDEX.build(20, n_jobs=4)


def compute():
    return INDEX.get_nns_by_item(17, 3)


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
