"""`zerofarm gateway`: the gateway alone, for programs and pages of other hosts and containers, which show tokens."""

from __future__ import annotations

from spaces.farm.links.gateway_address import PORT, at
from spaces.farm.queue import settings
from spaces_workers.commands import options
from spaces_workers.commands.become import become, own_environment
from spaces_workers.isolation import MODULE
from spaces_workers.setup.ports import Ports
from spaces_workers.setup.state_dir import shared


def gateway(
    redis_url: options.RedisUrl = None,
    host: options.Host = "127.0.0.1",
    port: options.Port = PORT,
    state_dir: options.StateDir = options.STATE_DIR,
) -> None:
    """Let programs and pages with tokens reach the farm. It speaks plain TCP: lead it through a tunnel."""
    state_dir = shared(state_dir)
    settings.share(state_dir)
    url = options.broker_url(redis_url, state_dir)
    port = Ports(host).exactly(port, "--port")
    print(f"The gateway answers at {at(host, port)}", flush=True)
    arguments = ["--state-dir", str(state_dir), "--listen", f"{host}:{port}"]
    become([*MODULE, "spaces_workers.gateway", *arguments], own_environment(url))
