import os

import spaces
import chromadb
import numpy

CLIENT = chromadb.EphemeralClient()
POINTS = numpy.random.default_rng(0).random((500, 32), dtype=numpy.float32)
SHELF = CLIENT.create_collection("points")
SHELF.add(ids=[str(number) for number in range(500)], embeddings=POINTS)


def compute():
    return SHELF.query(query_embeddings=POINTS[:3], n_results=2)["ids"]


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
