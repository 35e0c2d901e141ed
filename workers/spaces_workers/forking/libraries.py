"""The behaviour of libraries in a fork, one row for each tested one. `docs/compatibility.md` has the results."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from spaces_workers.forking.native_threads import NativeThread


class Fate(Enum):
    """The state of a library in a fork that has lost its threads."""

    FINE = auto()  #: it makes new threads by itself, or computes without them
    REVIVED = auto()  #: `revivers/` gives it new ones
    SLOWER = auto()  #: it still computes, with one thread instead of many
    BROKEN = auto()  #: it hangs or ends the process
    UNKNOWN = auto()  #: it was not tested


@dataclass(frozen=True, slots=True)
class Library:
    """One row."""

    name: str  #: of the module
    fate: Fate
    tried: str  #: the tested version
    packages: tuple[str, ...] = ()  #: packages whose code its threads run, if not its own
    threads: tuple[str, ...] = ()  #: prefixes of its threads' names, if it names them
    was_used: Callable[[], bool] | None = (
        None  #: whether it was used, if its threads do not show that, because other libraries use them too
    )

    def lost_threads(self, threads: Sequence[NativeThread]) -> list[NativeThread] | None:
        """The threads of this library; None if a fork loses none of them."""
        if self.name not in sys.modules:
            return None
        own = [thread for thread in threads if self._owns(thread)]
        lost = self.was_used() if self.was_used is not None else bool(own)
        return own if lost else None

    def _owns(self, thread: NativeThread) -> bool:
        if self.threads:
            return thread.name.startswith(self.threads)
        return thread.package in (self.name, *self.packages)


def _numba_uses_openmp() -> bool:
    """Whether it has computed with GNU's OpenMP, which does not work again in a fork."""
    parallel = sys.modules.get("numba.np.ufunc.parallel")
    if parallel is None or not parallel._is_initialized:
        return False
    return str(parallel.threading_layer()) == "omp"


def _psycopg_pool_is_open() -> bool:
    """Whether a pool has its threads. Its connections would be every fork's."""
    targets = [getattr(thread, "_target", None) for thread in threading.enumerate()]
    return any(getattr(each, "__module__", "").startswith("psycopg_pool.") for each in targets)


LIBRARIES = (
    Library("av", Fate.BROKEN, "18.1.0", threads=("av:",)),
    Library("chromadb", Fate.BROKEN, "1.5.9", packages=("chromadb_rust_bindings",)),
    Library("ctranslate2", Fate.BROKEN, "4.8.5"),
    Library("datafusion", Fate.BROKEN, "55.0.0"),
    Library("decord", Fate.BROKEN, "0.6.0"),
    Library("jax", Fate.BROKEN, "0.10.2", packages=("jaxlib",)),
    Library("numba", Fate.BROKEN, "0.68.1", packages=("", "torch"), was_used=_numba_uses_openmp),
    Library("polars", Fate.BROKEN, "2.1.0", packages=("_polars_runtime_32",), threads=("polars-0", "polars-1")),
    Library("psycopg_pool", Fate.BROKEN, "3.3.3", was_used=_psycopg_pool_is_open),
    Library("pyvips", Fate.BROKEN, "3.2.0", packages=("pyvips_binary",), threads=("libvips worker",)),
    Library("tantivy", Fate.BROKEN, "0.27.0"),
    Library("tensorflow", Fate.BROKEN, "2.21.0", threads=("tf_",)),
    Library("tokenizers", Fate.BROKEN, "0.23.3"),
    Library("torch", Fate.BROKEN, "2.13.0", threads=("PTThreadPool",)),
    Library("cv2", Fate.REVIVED, "5.0.0"),
    Library("duckdb", Fate.REVIVED, "2.0.1", packages=("_duckdb",)),
    Library("onnxruntime", Fate.REVIVED, "1.32.0"),
    Library("ai_edge_litert", Fate.SLOWER, "2.3.0"),
    Library("open3d", Fate.SLOWER, "0.20.0"),
    Library("openvino", Fate.SLOWER, "2026.4.1"),
    Library("catboost", Fate.FINE, "1.2.10"),
    Library("faiss", Fate.FINE, "1.15.1", packages=("faiss_cpu",)),
    Library("grpc", Fate.FINE, "1.85.3"),
    Library("lancedb", Fate.FINE, "0.40.0"),
    Library("lightgbm", Fate.FINE, "4.7.0"),
    Library("ncnn", Fate.FINE, "1.0.20261020"),
    Library("numexpr", Fate.FINE, "2.14.2"),
    Library("numpy", Fate.FINE, "2.4.6"),
    Library("pyarrow", Fate.FINE, "26.0.1"),
    Library("scipy", Fate.FINE, "1.17.1"),
    Library("sklearn", Fate.FINE, "1.9.1", packages=("scikit_learn",)),
    Library("usearch", Fate.FINE, "2.26.6"),
    Library("xgboost", Fate.FINE, "3.2.0", packages=("xgboost_cpu",)),
)
