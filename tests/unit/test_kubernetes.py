"""The manifests for Kubernetes: they keep to the published schemas, and name only what is there.

No cluster runs them here. kubectl builds the overlays where it is installed.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import typer
import yaml
from cloudcoil.models.keda.v1alpha1 import ScaledObject, TriggerAuthentication

from spaces.farm.queue.keys import Keys
from spaces.farm.queue.rules import Rules
from spaces.farm.queue.settings import read
from spaces.farm.size import Size
from spaces_app.home.metrics import catalogue
from spaces_workers.broker.users import RULES
from spaces_workers.up.door.address import find_caddy
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"

#: Of the API that the manifests are checked against.
VERSION = "1.37"

Document = dict[str, Any]  # Any: YAML, checked by the schemas

KEDA: dict[str, Any] = {"ScaledObject": ScaledObject, "TriggerAuthentication": TriggerAuthentication}

needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl")


def documents_of(path: Path) -> list[Document]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def kustomization(folder: str) -> Document:
    (found,) = documents_of(FOLDER / folder / "kustomization.yaml")
    return found


def written(folder: str) -> list[Document]:
    """The documents in the files of one kustomization."""
    files = [FOLDER / folder / name for name in kustomization(folder)["resources"] if name.endswith(".yaml")]
    return [document for file in files for document in documents_of(file)]


@cache
def built(folder: str) -> tuple[Document, ...]:
    """What `kubectl apply -k` would send."""
    command = ["kubectl", "kustomize", str(FOLDER / folder)]
    made = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert made.returncode == 0, made.stderr
    return tuple(yaml.safe_load_all(made.stdout))


FOLDERS = ("base", *(f"overlays/{name}" for name in ("cpu", "keda", "keda-wait", "separated")))
BASE = written("base")
WORKLOADS = {each["metadata"]["name"]: each for each in BASE if each["kind"] in ("Deployment", "StatefulSet")}


def pod_of(name: str) -> Document:
    pod: Document = WORKLOADS[name]["spec"]["template"]["spec"]
    return pod


def container_of(name: str) -> Document:
    (container,) = pod_of(name)["containers"]
    assert isinstance(container, dict)
    return container


def check(document: Document) -> None:
    """Compare a document with the published schema of its kind; a field that it does not know is a mistake."""
    if (model := KEDA.get(document["kind"])) is None:
        kubernetes_validate.validate(document, VERSION, strict=True)
        return
    read = json.loads(model.model_validate(document).model_dump_json(by_alias=True, exclude_unset=True))
    assert read == document


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_manifest_keeps_to_the_published_schema(folder: str) -> None:
    for document in written(folder):
        check(document)


@pytest.mark.parametrize(
    ("kind", "field"), [("Deployment", "replica"), ("ScaledObject", "triggerz"), ("NetworkPolicy", "podSelectors")]
)
def test_a_misspelt_field_is_found(kind: str, field: str) -> None:
    documents = [each for folder in ("base", "overlays/keda") for each in written(folder)]
    found: Document = next(each for each in documents if each["kind"] == kind)
    with pytest.raises((AssertionError, kubernetes_validate.ValidationError)):
        check({**found, "spec": {**found["spec"], field: 1}})


@needs_kubectl
@pytest.mark.parametrize("folder", FOLDERS)
def test_every_kustomization_is_built_into_a_namespace_of_its_own(folder: str) -> None:
    documents = built(folder)
    for document in documents:
        check(document)
    names = [(each["kind"], each["metadata"]["name"]) for each in documents]
    assert len(set(names)) == len(names)
    assert {each["metadata"].get("namespace") for each in documents} == {None, "zerofarm"}
    assert [each["kind"] for each in documents if "namespace" not in each["metadata"]] == ["Namespace"]


@needs_kubectl
def test_configuration_that_changes_starts_its_pods_again() -> None:
    made = {each["metadata"]["name"] for each in built("base") if each["kind"] == "ConfigMap"}
    text = json.dumps(built("base"))
    assert {name.rpartition("-")[0] for name in made} == {"broker", "door", "farm", "rules"}
    assert all(text.count(f'"{name}"') > 1 for name in made)


# --- names


def named_in(document: object, key: str) -> Iterator[str]:
    """The values of a key, wherever it stands."""
    if isinstance(document, dict):
        for name, value in document.items():
            if name == key and isinstance(value, str):
                yield value
            yield from named_in(value, key)
    elif isinstance(document, list):
        for each in document:
            yield from named_in(each, key)


def test_each_service_finds_its_pods_at_a_port_that_they_have() -> None:
    services = [each for each in BASE if each["kind"] == "Service"]
    assert {each["metadata"]["name"] for each in services} == WORKLOADS.keys() - {"worker"}
    for service in services:
        name = service["metadata"]["name"]
        labels = WORKLOADS[name]["spec"]["template"]["metadata"]["labels"]
        assert service["spec"]["selector"].items() <= labels.items()
        assert WORKLOADS[name]["spec"]["selector"]["matchLabels"].items() <= labels.items()
        ports = {each["name"]: each["containerPort"] for each in container_of(name)["ports"]}
        for port in service["spec"]["ports"]:
            assert ports[port["targetPort"]] == port["port"]


def test_every_volume_that_is_mounted_is_there() -> None:
    for name, workload in WORKLOADS.items():
        given = {each["name"] for each in pod_of(name)["volumes"]}
        given |= {each["metadata"]["name"] for each in workload["spec"].get("volumeClaimTemplates", [])}
        assert {each["name"] for each in container_of(name)["volumeMounts"]} == given
    claims = {each["metadata"]["name"] for each in BASE if each["kind"] == "PersistentVolumeClaim"}
    assert set(named_in(BASE, "claimName")) == claims


def test_each_process_gets_its_own_secret_and_a_space_none_of_the_farm() -> None:
    given = {name: {*named_in(pod_of(name), "secretName")} for name in WORKLOADS}
    for name in WORKLOADS.keys() & {*RULES, "broker"}:
        assert given[name] == {f"zerofarm-{name}"}
    assert given["space-digits"] == {"zerofarm-token-digits"}
    assert given["door"] == set()


def test_the_secrets_that_processes_read_are_made_by_the_command(tmp_path: Path) -> None:
    from spaces_workers.commands.remote.secrets import secrets

    secrets(tmp_path, "broker:6379", None)
    for name in WORKLOADS.keys() & {*RULES, "broker"}:
        files = {f"/secrets/{path.name}" for path in (tmp_path / name).iterdir()}
        read = {each["value"] for each in container_of(name).get("env", []) if each["name"].endswith("_FILE")}
        assert read <= files
    assert (tmp_path / "worker" / "broker.url").read_text().endswith("@broker:6379/0")
    assert "include /etc/zerofarm/secrets/users.conf" in (FOLDER / "base" / "broker.conf").read_text()
    assert (tmp_path / "broker" / "users.conf").is_file()
    (authentication,) = [each for each in written("overlays/keda") if each["kind"] == "TriggerAuthentication"]
    for each in authentication["spec"]["secretTargetRef"]:
        assert each["name"] == "zerofarm-scaler"
        assert (tmp_path / "scaler" / each["key"]).is_file()


def commands() -> list[Any]:  # Any: pytest's parameter sets
    """Every command line of ours: of containers, probes and hooks."""
    found = set()
    for name, container in ((name, container_of(name)) for name in WORKLOADS):
        if container["image"].startswith("zerofarm-"):
            found.add((name, *container["args"]))
        hooks = [container.get(f"{each}Probe", {}) for each in ("readiness", "liveness", "startup")]
        for hook in (*hooks, container.get("lifecycle", {}).get("preStop", {})):
            words = hook.get("exec", {}).get("command", [])
            if words[:1] == ["zerofarm"]:
                found.add((name, *words[1:]))
    return [pytest.param(words, id=f"{name}: {' '.join(words)}") for name, *words in sorted(found)]


@pytest.mark.parametrize("words", commands())
def test_every_command_is_one_that_the_command_line_knows(words: list[str]) -> None:
    """Parsed, not run. The demos lie in the image under /spaces, and here in the tree that is copied there."""
    from spaces_workers.commands.command_table import application

    here = [re.sub(r"^/spaces/", f"{ROOT}/app/spaces_app/demos/", word) for word in words]
    group: Any = typer.main.get_command(application())  # Any: click's, or typer's own copy of it
    with group.make_context("zerofarm", [here[0], "--help"], resilient_parsing=True) as context:
        command = group.get_command(context, here[0])
        assert command is not None, f"zerofarm has no command {here[0]!r}"
        command.make_context(here[0], here[1:], parent=context).close()


def test_every_image_is_one_of_compose() -> None:
    compose = (ROOT / "docker-compose.yml").read_text()
    for name in WORKLOADS:
        assert f"image: {container_of(name)['image']}\n" in compose
    assert {each["name"] for each in kustomization("base")["images"]} == {"zerofarm-app", "zerofarm-worker"}


# --- what a cluster is told to do


@pytest.mark.parametrize("name", WORKLOADS)
def test_no_pod_is_root_or_speaks_to_the_cluster(name: str) -> None:
    pod, container = pod_of(name), container_of(name)
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] != 0
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"]["drop"] == ["ALL"]
    assert container["readinessProbe"]
    assert container["livenessProbe"]


def test_pages_keep_their_tasks_when_the_gateway_gets_a_new_pod() -> None:
    assert {"name": "ZEROFARM_HOST", "value": "gateway"} in container_of("gateway")["env"]


def test_a_worker_has_one_gpu_a_name_of_its_own_and_is_drained_before_its_pod_ends() -> None:
    worker, pod = container_of("worker"), pod_of("worker")
    assert worker["resources"]["limits"] == {"nvidia.com/gpu": "1"}
    named = {each["name"]: each for each in worker["env"]}
    assert named["ZEROFARM_HOST"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"
    assert worker["lifecycle"]["preStop"]["exec"]["command"] == ["zerofarm", "drain", "--here"]
    assert worker["livenessProbe"]["exec"]["command"] == ["zerofarm", "ping"]
    assert pod["terminationGracePeriodSeconds"] >= 600
    places = {each["mountPath"] for each in worker["volumeMounts"]}
    assert str(Path(named["ZEROFARM_RUN_DIR"]["value"]).parent) in places
    assert named["ZEROFARM_STATE_DIR"]["value"] in places


@pytest.mark.parametrize("name", ["worker", "gateway", "home", "flower"])
def test_each_process_of_the_farm_reads_the_same_rules(name: str) -> None:
    """There was no way to turn quotas on."""
    container = container_of(name)
    (path,) = [each["value"] for each in container["env"] if each["name"] == "ZEROFARM_CONFIG"]
    (mount,) = [each["mountPath"] for each in container["volumeMounts"] if each["name"] == "rules"]
    (made,) = [each for each in kustomization("base")["configMapGenerator"] if each["name"] == "rules"]
    assert made["files"] == [Path(path).relative_to(mount).as_posix()]
    assert {*named_in(pod_of(name)["volumes"], "name")} >= {"rules"}
    assert read(FOLDER / "base" / made["files"][0]) == Rules()


@needs_kubectl
def test_without_gpus_nothing_asks_for_one() -> None:
    assert "nvidia.com/gpu" in json.dumps(built("base"))
    assert "nvidia.com/gpu" not in json.dumps(built("overlays/cpu"))
    (worker,) = [each for each in built("overlays/cpu") if each["metadata"]["name"] == "worker"]
    (container,) = worker["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["worker", "--gpus", "none"]
    assert container["image"] == "zerofarm-worker-cpu:latest"


@needs_kubectl
def test_workers_that_separate_spaces_refuse_to_start_where_they_cannot_and_get_no_capability() -> None:
    (worker,) = [each for each in built("overlays/separated") if each["metadata"]["name"] == "worker"]
    pod = worker["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert {"name": "ZEROFARM_ISOLATION", "value": "namespaces"} in container["env"]
    assert (
        pod["securityContext"]["seccompProfile"] == pod["securityContext"]["appArmorProfile"] == {"type": "Unconfined"}
    )
    assert container["securityContext"] == container_of("worker")["securityContext"]


@needs_kubectl
@pytest.mark.parametrize("folder", ["overlays/keda", "overlays/keda-wait"])
def test_keda_alone_says_how_many_workers_there_are(folder: str) -> None:
    found = {(each["kind"], each["metadata"]["name"]): each for each in built(folder)}
    assert "replicas" not in found["Deployment", "worker"]["spec"]
    scaled = found["ScaledObject", "worker"]["spec"]
    assert scaled["scaleTargetRef"]["name"] == "worker"
    assert scaled["minReplicaCount"] >= 1


def triggers(folder: str) -> list[Document]:
    (scaled,) = [each for each in written(folder) if each["kind"] == "ScaledObject"]
    found: list[Document] = scaled["spec"]["triggers"]
    return found


def test_keda_counts_the_ranked_queues_of_all_sizes() -> None:
    counted = {each["metadata"]["listName"] for each in triggers("overlays/keda")}
    assert counted == {Keys().queue(size) for size in Size}


def test_keda_asks_prometheus_for_metrics_that_there_are() -> None:
    known = {metric.name for metric in catalogue.METRICS}
    asked = {
        name
        for each in triggers("overlays/keda-wait")
        for name in re.findall(r"zerofarm_\w+", each["metadata"]["query"])
    }
    assert "zerofarm_expected_wait_seconds" in asked
    assert asked <= known


@pytest.mark.skipif(find_caddy() is None, reason="needs Caddy")
def test_caddy_understands_the_configuration_of_the_door() -> None:
    command = [str(find_caddy()), "validate", "--adapter", "caddyfile", "--config", str(FOLDER / "base" / "Caddyfile")]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert checked.returncode == 0, checked.stderr


def test_the_door_finds_spaces_by_the_names_of_their_services() -> None:
    caddyfile = (FOLDER / "base" / "Caddyfile").read_text()
    assert "reverse_proxy space-{re.space.1}:7860 {" in caddyfile
    assert "reverse_proxy home:7860 {" in caddyfile
    assert "reverse_proxy flower:5555 {" in caddyfile
    for name in (each for each in WORKLOADS if each.startswith("space-")):
        arguments = container_of(name)["args"]
        assert arguments[arguments.index("--root-path") + 1] == f"/spaces/{name.removeprefix('space-')}"
        assert WORKLOADS[name]["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"] == "space"
