"""What a process of the farm is given of the operator's environment: all of it, less the farm's own secrets."""

from __future__ import annotations

from pathlib import Path

from spaces import config
from spaces.config import Role, without_secrets
from spaces_workers.isolation import variables_of
from spaces_workers.link.messages import ZygoteSpec
from spaces_workers.setup.compile_cache import of_compilers
from spaces_workers.setup.state_dir import default_state_dir

#: Defaults for every process that runs a Space's script; the operator's own values win.
_DEFAULTS = {
    "SPACES_ZERO_GPU": "true",  # what Spaces ask for to know where they are
    "GRADIO_ANALYTICS_ENABLED": "False",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "PYTHONUNBUFFERED": "1",
    # As on ZeroGPU: an example is computed when somebody asks for it, not twenty of them at every start.
    "GRADIO_CACHE_EXAMPLES": "true",
    "GRADIO_CACHE_MODE": "lazy",
}

#: Stands for the author in a Space's address. It is nobody's name on the Hub, so no Space takes itself for the one that
#: its author shares with everybody, where many hold features back.
_OWNER = "zerofarm"


#: A fork copies page tables: 40 ms for each GB of weights in small pages, 1 ms in huge ones. glibc knows no other way
#: to ask for them (https://sourceware.org/glibc/manual/2.36/html_node/Memory-Allocation-Tunables.html).
_HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


def of_zygote(spec: ZygoteSpec) -> dict[str, str]:
    """For a zygote and, by inheritance, for its children: the Space's own key, and no broker."""
    return (
        _DEFAULTS
        | _HUGE_PAGES
        | _address(spec.space)
        | of_compilers(default_state_dir())
        | without_secrets()
        | {
            config.ROLE: Role.WORKER,
            config.SPACE: spec.space,
            config.SPACE_KEY: spec.key.hex(),
            config.RUN_DIR: str(config.current().run_dir),
            config.HOST: config.current().host,
        }
        | variables_of(Path(spec.python))
    )


def of_web(space: str, url: str, key: bytes, address: tuple[str, int]) -> dict[str, str]:
    """For the web process of a Space: its own key, the broker, and the address that it shall answer at."""
    host, port = address
    return (
        _DEFAULTS
        | _address(space)
        | of_compilers(default_state_dir())
        | {"GRADIO_DEFAULT_CONCURRENCY_LIMIT": "64"}  # visitors wait in the farm's queue, not in the page's
        | without_secrets()
        | {
            config.ROLE: Role.WEB,
            config.URL: url,
            config.SPACE: space,
            config.SPACE_KEY: key.hex(),
            config.RUN_DIR: str(config.current().run_dir),
            config.HOST: config.current().host,
            "GRADIO_SERVER_NAME": host,
            "GRADIO_SERVER_PORT": str(port),
        }
    )


def _address(space: str) -> dict[str, str]:
    """Where Spaces look for their own name, and whether they are on the Hub at all."""
    return {"SPACE_ID": f"{_OWNER}/{space}", "SPACE_AUTHOR_NAME": _OWNER, "SPACE_REPO_NAME": space}
