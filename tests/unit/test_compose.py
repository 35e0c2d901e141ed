"""The Compose files: well-formed, consistent with each other and with the command line that they call.

Compose itself is not needed: the schema beside this file is the part of its format that we use, and the few rules of
merging and interpolation that our files rely on are written out below.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from jsonschema import Draft202012Validator

from spaces.farm.queue.rules import Rules
from spaces.farm.queue.settings import read
from spaces_workers.broker.users import RULES
from spaces_workers.up.door.address import find_caddy
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
BASE = "docker-compose.yml"
CPU, HOSTS, WORKER, DOMAIN, SEPARATED = (
    f"deploy/docker-compose.{name}.yml" for name in ("cpu", "hosts", "worker", "domain", "separated")
)
COMBINATIONS = [(BASE,), (BASE, CPU), (BASE, HOSTS), (BASE, WORKER), (BASE, DOMAIN), (BASE, SEPARATED)]

#: What an operator has in .env; `ZEROFARM_HOST` and what follows only where a farm has several hosts.
ENVIRONMENT = {
    "ZEROFARM_BROKER_PASSWORD": "broker-password",
    "ZEROFARM_KEY": "00ff",
    "FLOWER_BASIC_AUTH": "operator:flower-password",
    "ZEROFARM_HOST": "gpu-host-2",
    "ZEROFARM_SITE": "farm.example.org",
    "ZEROFARM_BROKER_PUBLISH": "10.0.0.1",
    "REDIS_URL": "redis://:broker-password@10.0.0.1:6379/0",
}

UNITS = sorted((ROOT / "deploy").glob("*.service"))

Document = dict[str, Any]  # Any: YAML, checked by the schema


class Reset:
    """The value of `!reset`: what an earlier file said here is dropped."""


class Loader(yaml.SafeLoader):
    """YAML as Compose reads it."""


Loader.add_constructor("!reset", lambda loader, node: Reset())


def interpolated(text: str, environment: Mapping[str, str]) -> str:
    """Replace `${NAME}`, `${NAME:-default}` and `${NAME:?complaint}` as Compose does."""

    def value(found: re.Match[str]) -> str:
        name, operator, word = found["name"], found["operator"], found["word"]
        if environment.get(name):
            return environment[name]
        if operator == ":-":
            return str(word)
        raise KeyError(f"{name} is not set: {word}")

    return re.sub(r"\$\{(?P<name>\w+)(?:(?P<operator>:[-?])(?P<word>[^}]*))?\}", value, text)


def merged(earlier: Any, later: Any) -> Any:  # Any: YAML
    """Merge as Compose does: mappings by key, lists by appending, except commands, which are replaced."""
    if isinstance(earlier, dict) and isinstance(later, dict):
        result = {**earlier}
        for key, value in later.items():
            if isinstance(value, Reset):
                result.pop(key, None)
            elif key in ("command", "test") or key not in earlier:
                result[key] = value
            else:
                result[key] = merged(earlier[key], value)
        return result
    if isinstance(earlier, list) and isinstance(later, list):
        return earlier + later
    return later


def compose(*names: str, environment: Mapping[str, str] = ENVIRONMENT) -> Document:
    document: Any = {}  # Any: YAML
    for name in names:
        lines = (ROOT / name).read_text().splitlines()
        text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
        document = merged(document, yaml.load(interpolated(text, environment), Loader))
    assert isinstance(document, dict)
    return document


def zerofarm_commands() -> list[Any]:  # Any: pytest's parameter sets
    """Every command line of ours that a container runs: services, health checks and the images' own."""
    seen = set()
    for names in COMBINATIONS:
        for service, settings in compose(*names)["services"].items():
            if settings["image"].startswith("zerofarm-"):
                seen.add((service, *settings["command"]))
            test = settings.get("healthcheck", {}).get("test", [])
            if test[1:2] == ["zerofarm"]:
                seen.add((f"{service} healthcheck", *test[2:]))
    for dockerfile in ("app/Dockerfile", "workers/Dockerfile"):
        command = re.search(r"^CMD (\[.*\])$", (ROOT / dockerfile).read_text(), re.MULTILINE)
        assert command is not None
        seen.add((dockerfile, *json.loads(command[1])))
    for unit in UNITS:
        start = re.search(r"^ExecStart=\S+/zerofarm (.*)$", unit.read_text(), re.MULTILINE)
        assert start is not None
        seen.add((unit.name, *shlex.split(start[1])))
    return [pytest.param(arguments, id=f"{origin}: {' '.join(arguments)}") for origin, *arguments in sorted(seen)]


@pytest.mark.parametrize("names", COMBINATIONS, ids=lambda names: names[-1])
def test_the_files_keep_to_the_compose_format(names: tuple[str, ...]) -> None:
    schema = json.loads((Path(__file__).parent / "compose-schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    faults = [
        f"{fault.json_path}: {fault.message}" for fault in Draft202012Validator(schema).iter_errors(compose(*names))
    ]
    assert faults == []


@pytest.mark.parametrize("names", COMBINATIONS, ids=lambda names: names[-1])
def test_every_name_that_a_service_refers_to_is_declared(names: tuple[str, ...]) -> None:
    document = compose(*names)
    for settings in document["services"].values():
        sources = {volume.split(":")[0] for volume in settings.get("volumes", [])}
        files = {source for source in sources if source.startswith("./")}
        assert sources - files <= document["volumes"].keys()
        assert all((ROOT / file).is_file() for file in files)
        assert settings.get("depends_on", {}).keys() <= document["services"].keys()
        if "build" in settings:
            assert (ROOT / settings["build"]["context"] / settings["build"]["dockerfile"]).is_file()


@pytest.mark.parametrize("arguments", zerofarm_commands())
def test_every_command_is_one_that_the_command_line_knows(arguments: list[str]) -> None:
    """Parsed, not run. The demos lie in the image under /spaces, and here in the tree that is copied there."""
    from spaces_workers.commands.command_table import application

    demos = ROOT / "app" / "spaces_app" / "demos"
    here = [re.sub(r"^/spaces/", f"{demos}/", argument) for argument in arguments]
    group: Any = typer.main.get_command(application())  # Any: click's, or typer's own copy of it
    with group.make_context("zerofarm", [here[0], "--help"], resilient_parsing=True) as context:
        command = group.get_command(context, here[0])
        assert command is not None, f"zerofarm has no command {here[0]!r}"
        command.make_context(here[0], here[1:], parent=context).close()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_understands_each_unit(unit: Path, tmp_path: Path) -> None:
    """It also looks for the program, which is not installed here."""
    here = tmp_path / unit.name
    here.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(), flags=re.MULTILINE))
    command = ["systemd-analyze", "verify", str(here)]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (checked.returncode, [line for line in checked.stderr.splitlines() if unit.name in line]) == (0, [])


@pytest.mark.parametrize("space", ["digits", "names", "search"])
def test_every_demo_that_is_served_is_in_the_image(space: str) -> None:
    assert compose(BASE)["services"][space]["command"][1] == f"/spaces/{space}"
    assert (ROOT / "app" / "spaces_app" / "demos" / space / "app.py").is_file()
    assert "COPY app/spaces_app/demos /spaces\n" in (ROOT / "app" / "Dockerfile").read_text()


def test_a_worker_can_be_scaled_to_the_number_of_gpus() -> None:
    """Each sees all GPUs and claims one through the volume that they share; a published port would be one too few."""
    document = compose(BASE)
    worker = document["services"]["worker"]
    (devices,) = worker["deploy"]["resources"]["reservations"]["devices"]
    assert (devices["driver"], devices["count"]) == ("nvidia", "all")
    assert "gpu" in devices["capabilities"]
    assert "ports" not in worker
    assert worker["command"][worker["command"].index("--gpus") + 1] == "auto"
    assert worker["command"][worker["command"].index("--run-dir") + 1] == "/run/zerofarm"
    assert "run:/run/zerofarm" in worker["volumes"]


SPACES = ("digits", "names", "search")


def told(service: str) -> str:
    """All that a container of a service is told or given, as text."""
    settings = compose(BASE)["services"][service]
    return json.dumps([settings.get("environment", {}), settings.get("volumes", []), settings["command"]])


@pytest.mark.parametrize("service", SPACES)
def test_the_container_of_a_space_has_a_token_and_no_secret_of_the_farm(service: str) -> None:
    settings = compose(BASE)["services"][service]
    assert set(settings["volumes"]) == {f"token-{service}:/secrets:ro", f"cache-{service}:/cache"}
    environment = settings["environment"]
    assert not environment.keys() & {"ZEROFARM_KEY", "ZEROFARM_KEY_FILE", "REDIS_URL", "REDIS_URL_FILE"}
    assert environment["ZEROFARM_URL"] == "gateway://gateway:7870"
    assert settings["depends_on"].keys() == {"gateway", "tokens"}


@pytest.mark.parametrize("space", SPACES)
def test_no_other_container_mounts_what_that_of_a_space_writes(space: str) -> None:
    """A model in a cache is a program for those who load it, and all of them loaded from one."""
    services = compose(BASE)["services"]
    written = {each.partition(":")[0] for each in services[space]["volumes"] if not each.endswith(":ro")}
    others = (each for name, service in services.items() if name != space for each in service.get("volumes", []))
    assert not written & {each.partition(":")[0] for each in others}


@pytest.mark.parametrize("service", ["broker", "worker", "gateway", "home", "flower"])
def test_each_process_of_the_farm_gets_its_own_secrets_alone(service: str) -> None:
    others = set(compose(BASE)["volumes"]) - {f"secrets-{service}"}
    assert not [name for name in others if name.startswith(("secrets-", "token-")) and name in told(service)]
    assert f"secrets-{service}:" in told(service)


def test_the_steps_that_make_secrets_are_the_only_ones_that_write_them() -> None:
    for service, settings in compose(BASE)["services"].items():
        for volume in settings.get("volumes", []):
            if volume.startswith(("secrets-", "token-")) and service not in ("secrets", "tokens"):
                assert volume.endswith(":ro"), (service, volume)


def test_every_space_gets_a_token_from_the_step_and_every_user_of_the_broker_its_url() -> None:
    services = compose(BASE)["services"]
    tokens = services["tokens"]
    assert {word.removeprefix("--space=") for word in tokens["command"] if word.startswith("--space=")} == {*SPACES}
    assert {f"token-{space}:/secrets/{space}" for space in SPACES} <= {*tokens["volumes"]}
    folders = {volume.rpartition("/")[2] for volume in services["secrets"]["volumes"]}
    assert folders == {"operator", "broker", *RULES} - {"scaler"}  # it is for Kubernetes


@pytest.mark.parametrize("service", ["worker", "gateway", "home", "flower", *SPACES])
def test_no_container_is_root_or_has_a_capability(service: str) -> None:
    settings = compose(BASE)["services"][service]
    assert settings["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in settings["security_opt"]
    assert not {"user", "cap_add", "privileged"} & settings.keys()


def test_workers_alone_share_the_memory_of_the_host() -> None:
    for names in ((BASE,), (BASE, CPU)):
        document = compose(*names)
        assert document["volumes"]["run"]["driver_opts"]["type"] == "tmpfs"
        sharing = {
            name for name, each in document["services"].items() if "run:/run/zerofarm" in each.get("volumes", [])
        }
        assert sharing == {"worker"}
        assert document["services"]["worker"]["environment"]["ZEROFARM_HOST"] == ENVIRONMENT["ZEROFARM_HOST"]


def test_both_images_run_as_the_user_who_owns_the_shared_memory() -> None:
    options = compose(BASE)["volumes"]["run"]["driver_opts"]["o"]
    assert {"uid=10001", "gid=10001", "mode=0700"} <= set(options.split(","))
    for dockerfile in ("app/Dockerfile", "workers/Dockerfile"):
        text = (ROOT / dockerfile).read_text()
        assert "useradd --uid 10001 --gid 10001 " in text
        assert "\nUSER zerofarm\n" in text


def test_without_a_gpu_nothing_asks_for_one() -> None:
    worker = compose(BASE, CPU)["services"]["worker"]
    assert "deploy" not in worker
    assert worker["command"][worker["command"].index("--gpus") + 1] == "none"
    assert "cuda" not in worker["build"]["args"]["BASE_IMAGE"]
    assert worker["image"] != compose(BASE)["services"]["worker"]["image"]


def test_a_worker_on_a_further_host_needs_no_service_of_this_one() -> None:
    worker = compose(BASE, WORKER)["services"]["worker"]
    assert "depends_on" not in worker
    assert worker["environment"]["REDIS_URL"] == ENVIRONMENT["REDIS_URL"]


def test_the_first_host_prints_the_lines_that_a_further_one_needs(tmp_path: Path) -> None:
    """Key and URL came as one word: the files that hold them end without a line break."""
    (tmp_path / "farm.key").write_text("00ff")
    (tmp_path / "broker.url").write_text("redis://worker:secret@broker:6379/0")
    (script,) = re.findall(r"sh -c '(.+)'", (ROOT / WORKER).read_text())
    command = ["sh", "-c", script.replace("/secrets", str(tmp_path))]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
    assert printed.splitlines() == ["ZEROFARM_KEY=00ff", "REDIS_URL=redis://worker:secret@broker:6379/0"]


def test_the_farms_key_is_given_to_workers_alone() -> None:
    services = compose(BASE)["services"]
    named = {name: set(settings.get("environment", {})) for name, settings in services.items()}
    holders = {name for name, variables in named.items() if {"ZEROFARM_KEY", "ZEROFARM_KEY_FILE"} & variables}
    assert holders == {"worker", "secrets", "tokens"}


def test_the_proxy_alone_is_published_and_only_on_this_host() -> None:
    services = compose(BASE)["services"]
    published = {name: settings["ports"] for name, settings in services.items() if "ports" in settings}
    assert published == {"proxy": ["127.0.0.1:7860:7860"]}
    everywhere = compose(BASE, environment={**ENVIRONMENT, "ZEROFARM_PUBLISH": "0.0.0.0"})["services"]
    assert everywhere["proxy"]["ports"] == ["0.0.0.0:7860:7860"]


@pytest.mark.parametrize("space", SPACES)
def test_the_proxy_finds_each_space_by_its_alias_and_below_its_path(space: str) -> None:
    settings = compose(BASE)["services"][space]
    assert settings["networks"]["default"]["aliases"] == [f"{space}.space.internal"]
    assert settings["command"][settings["command"].index("--root-path") + 1] == f"/spaces/{space}"
    assert f"--link={space}=/spaces/{space}/" in compose(BASE)["services"]["home"]["command"]


def test_spaces_believe_the_proxy_whose_address_no_other_container_can_get() -> None:
    document = compose(BASE)
    address = document["services"]["proxy"]["networks"]["default"]["ipv4_address"]
    assert {document["services"][space]["environment"]["ZEROFARM_PROXY"] for space in SPACES} == {address}
    (addresses,) = document["networks"]["default"]["ipam"]["config"]
    assert ip_address(address) in ip_network(addresses["subnet"])
    assert ip_address(address) not in ip_network(addresses["ip_range"])


@pytest.mark.parametrize("names", COMBINATIONS, ids=lambda names: names[-1])
def test_each_image_of_ours_is_built_by_one_service_and_never_pulled(names: tuple[str, ...]) -> None:
    """Eight services built one image, and each first asked a registry for it."""
    services = compose(*names)["services"].values()
    ours = [each for each in services if each["image"].startswith("zerofarm-")]
    built = [each["image"] for each in ours if "build" in each]
    assert sorted(built) == sorted({each["image"] for each in ours})
    assert {each["pull_policy"] for each in ours} == {"never"}


@pytest.mark.parametrize("service", ["worker", "gateway", "home", "flower"])
def test_each_process_of_the_farm_reads_the_same_rules(service: str) -> None:
    """There was no way to turn quotas on."""
    settings = compose(BASE)["services"][service]
    assert f"./deploy/farm.toml:{settings['environment']['ZEROFARM_CONFIG']}:ro" in settings["volumes"]


def test_the_rules_can_be_a_file_of_the_operators_own() -> None:
    named = {**ENVIRONMENT, "ZEROFARM_RULES": "./mine.toml"}
    assert "./mine.toml:/etc/zerofarm/farm.toml:ro" in compose(BASE, environment=named)["services"]["home"]["volumes"]


@pytest.mark.parametrize("names", COMBINATIONS, ids=lambda names: names[-1])
def test_no_mount_is_named_by_a_variable_that_the_container_has_too(names: tuple[str, ...]) -> None:
    """podman-compose replaces names by what the service's environment says: it mounted a file onto itself."""
    asked = set(re.findall(r"\$\{(\w+)", "".join((ROOT / name).read_text() for name in names)))
    sent = {name: f"value-of-{name}" for name in asked}
    for settings in compose(*names, environment=sent)["services"].values():
        environment = settings.get("environment", {})
        mounted = " ".join(settings.get("volumes", []))
        assert not [name for name in asked & environment.keys() if sent[name] in mounted]


def test_the_rules_as_they_are_shipped_change_nothing(tmp_path: Path) -> None:
    shipped = ROOT / "deploy" / "farm.toml"
    assert read(shipped) == Rules()
    example = tmp_path / "farm.toml"
    example.write_text(re.sub(r"^# (?=[\[a-z]+)", "", shipped.read_text().partition("#\n")[2], flags=re.MULTILINE))
    assert read(example).quota.enabled


def test_workers_that_separate_spaces_refuse_to_start_where_they_cannot_and_get_no_capability() -> None:
    worker = compose(BASE, SEPARATED)["services"]["worker"]
    assert worker["environment"]["ZEROFARM_ISOLATION"] == "namespaces"
    assert worker["security_opt"] == ["no-new-privileges:true", "seccomp=unconfined", "apparmor=unconfined"]
    assert worker["cap_drop"] == ["ALL"]


def test_pages_keep_their_tasks_when_the_gateway_gets_a_new_container() -> None:
    """It named them by its host name, which is that of the container: an upgrade cancelled what waited."""
    assert compose(BASE)["services"]["gateway"]["environment"]["ZEROFARM_HOST"] == "gateway"


def test_a_worker_is_asked_for_its_own_health() -> None:
    assert compose(BASE)["services"]["worker"]["healthcheck"]["test"][1:3] == ["zerofarm", "ping"]


@pytest.mark.skipif(find_caddy() is None, reason="needs Caddy")
@pytest.mark.parametrize(
    ("site", "certificates", "spaces_at"),
    [
        ("", "", ""),
        (":7860", "", "path"),
        ("farm.example.org", "public", "path"),
        ("farm.example.org", "internal", "path"),
        ("farm.example.org", "public", "name"),
        ("farm.example.org", "internal", "name"),
    ],
)
def test_caddy_understands_the_configuration_of_the_proxy(site: str, certificates: str, spaces_at: str) -> None:
    command = [str(find_caddy()), "validate", "--adapter", "caddyfile", "--config", str(ROOT / "deploy" / "Caddyfile")]
    given = {"ZEROFARM_SITE": site, "ZEROFARM_CERTIFICATES": certificates, "ZEROFARM_SPACES_AT": spaces_at}
    environment = os.environ | {name: value for name, value in given.items() if value}
    checked = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("secret", ["FLOWER_BASIC_AUTH"])
def test_a_missing_secret_stops_the_start_and_the_example_names_it(secret: str) -> None:
    with pytest.raises(KeyError, match=f"{secret} is not set: see deploy/env.example"):
        compose(BASE, environment={**ENVIRONMENT, secret: ""})
    assert f"\n{secret}=\n" in (ROOT / "deploy" / "env.example").read_text()


def test_the_broker_keeps_tasks_and_evicts_none() -> None:
    assert "./deploy/broker.conf:/etc/zerofarm/broker.conf:ro" in compose(BASE)["services"]["broker"]["volumes"]
    lines = (ROOT / "deploy" / "broker.conf").read_text().splitlines()
    assert {
        "include /etc/zerofarm/secrets/users.conf",
        "appendonly yes",
        "maxmemory-policy noeviction",
        'save ""',
    } <= set(lines)


def test_the_images_install_what_the_makefile_installs() -> None:
    for file in ("app/Dockerfile", "workers/Dockerfile", "Makefile"):
        text = (ROOT / file).read_text()
        assert "-c constraints.txt" in text
        assert "--no-deps --require-hashes -r requirements.lock" in text
    assert (ROOT / "constraints.txt").is_file()


def test_secrets_and_local_files_stay_out_of_the_images() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".env", ".git", ".venv", "state"} <= set(ignored)
    assert not {"README.md", "LICENSE", "constraints.txt"} & set(ignored), "the build needs them"


def test_the_example_environment_has_no_secret_in_it() -> None:
    lines = (ROOT / "deploy" / "env.example").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert {name for name, value in given.items() if value} == {"ZEROFARM_PUBLISH"}
