"""The environment variables of the farm's processes: the operator's, without the farm's secrets."""

from __future__ import annotations

import os
from pathlib import Path

from spaces import config
from spaces.farm.links.gateway_address import is_gateway
from spaces.farm.queue import settings
from spaces.role import ROLE, URL, Role
from spaces.withheld_variables import for_spaces
from spaces_workers.isolation import variables_of
from spaces_workers.link.messages import ZygoteSpec
from spaces_workers.setup.compile_cache import of_compilers
from spaces_workers.setup.file_folder import folder_of_files, keeping_files
from spaces_workers.setup.ports import INSIDE
from spaces_workers.setup.space_variables import variables_of_space
from spaces_workers.setup.state_dir import default_state_dir

#: Defaults for every process that runs a Space's script; the operator's own values win.
DEFAULTS = {
    "SPACES_ZERO_GPU": "true",  # Spaces check it to detect ZeroGPU
    "GRADIO_ANALYTICS_ENABLED": "False",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "PYTHONUNBUFFERED": "1",
    # As on ZeroGPU: an example is computed when a visitor asks for it, not twenty of them at every start.
    "GRADIO_CACHE_EXAMPLES": "true",
    "GRADIO_CACHE_MODE": "lazy",
}

#: One server for each page: others would take ports that the farm gives to its other pages, and Node hides the
#: addresses of visitors. `spaces.servers` overrules a script that asks for them.
ONE_SERVER = {"GRADIO_SSR_MODE": "false", "GRADIO_NODE_PATH": "", "GRADIO_NUM_WORKERS": "0"}

#: The author's name in a Space's id. It is no account on the Hub, so no Space takes itself for its author's public
#: instance, in which many Spaces restrict features.
_OWNER = "zerofarm"


#: A fork copies page tables: 40 ms for each GB of weights in small pages, 1 ms in huge pages. glibc has no other
#: setting for huge pages (https://sourceware.org/glibc/manual/2.36/html_node/Memory-Allocation-Tunables.html).
_HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


#: Visitors wait in the farm's queue, not in the page's.
PAGES = {"GRADIO_DEFAULT_CONCURRENCY_LIMIT": "none"}


def of_fork_server() -> dict[str, str]:
    """For the fork server of a host: the variables that all processes of Spaces have alike, and no secret."""
    return DEFAULTS | _HUGE_PAGES | of_compilers(default_state_dir()) | PAGES | for_spaces()


def of_zygote(spec: ZygoteSpec, state_dir: Path | None = None) -> dict[str, str]:
    """For a zygote and, by inheritance, its children: the Space's own key, and no broker.

    `state_dir` is the part of the state directory that it has for itself, if it may not see the rest.
    """
    return (
        DEFAULTS
        | _HUGE_PAGES
        | _address(spec.space)
        | of_compilers(default_state_dir())
        | PAGES
        | for_spaces()
        | folder_of_files(spec.space, spec.key)
        | variables_of_space(spec.space)
        | {
            ROLE: Role.WORKER,
            config.SPACE: spec.space,
            config.SPACE_KEY: spec.key.hex(),
            config.RUN_DIR: str(config.current().run_dir),
            config.HOST: config.current().host,
        }
        | (of_compilers(state_dir) if state_dir else {})
        | variables_of(Path(spec.python))
    )


def of_web(
    space: str,
    url: str,
    key: bytes,
    address: tuple[str, int],
    state_dir: Path | None = None,
    shown_at: str = "",
    door: str = INSIDE,
) -> dict[str, str]:
    """For the web process of a Space: the Space's key, the farm's address `url`, and the address to listen at.

    `state_dir` is the part of the state directory that it has for itself, if it may not see the rest; `shown_at` the
    path below which the farm's front door shows it, if there is one; `door` the address from which that comes.
    """
    host, port = address
    return (
        DEFAULTS
        | _address(space)
        | of_compilers(default_state_dir())
        | PAGES
        | for_spaces()
        | folder_of_files(space, key)
        | variables_of_space(space)
        | keeping_files(space)
        | ONE_SERVER
        | {
            ROLE: Role.WEB,
            URL: url,
            config.SPACE: space,
            config.SPACE_KEY: key.hex(),
            config.RUN_DIR: str(config.current().run_dir),
            config.HOST: config.current().host,
            "GRADIO_SERVER_NAME": host,
            "GRADIO_SERVER_PORT": str(port),
        }
        | _rules(url)
        | _behind_proxies(space, shown_at, door)
        | (of_compilers(state_dir) if state_dir else {})
    )


def _rules(url: str) -> dict[str, str]:
    """The farm's settings, for a page that reaches the broker itself. The gateway tells others what they need."""
    named = os.environ.get(settings.VARIABLE, "")
    return {settings.VARIABLE: named} if named and not is_gateway(url) else {}


def _behind_proxies(space: str, shown_at: str, door: str) -> dict[str, str]:
    """A path that the operator has named, for a proxy of their own, comes first."""
    path = settings.of_space(space).root_path or shown_at
    root = {"GRADIO_ROOT_PATH": path} if path else {}
    return root | (_believing(door) if shown_at else {})


def _believing(door: str) -> dict[str, str]:
    trusted = (door, *settings.current().quota.trusted_proxies)
    return {config.DOOR: door, "FORWARDED_ALLOW_IPS": ",".join(trusted)}


def _address(space: str) -> dict[str, str]:
    """The variables from which Spaces read their own name, and whether they run on the Hub."""
    return {"SPACE_ID": f"{_OWNER}/{space}", "SPACE_AUTHOR_NAME": _OWNER, "SPACE_REPO_NAME": space}
