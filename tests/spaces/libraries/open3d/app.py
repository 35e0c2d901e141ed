import os

import spaces
import numpy
import open3d

BALL = open3d.geometry.TriangleMesh.create_sphere(resolution=60)
SCENE = open3d.t.geometry.RaycastingScene()
SCENE.add_triangles(open3d.t.geometry.TriangleMesh.from_legacy(BALL))
POINTS = numpy.random.default_rng(0).random((200_000, 3), dtype=numpy.float32) * 2


def compute():
    return round(float(SCENE.compute_signed_distance(POINTS).numpy().sum()), 0)


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
