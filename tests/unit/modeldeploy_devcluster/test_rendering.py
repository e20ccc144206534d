"""Configuration files say what the components need, and stay within our own folders."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from modeldeploy_devcluster.embedded import rendering
from modeldeploy_devcluster.settings import REGISTRY, Settings

MACHINE = rendering.Machine(cni=Path("/usr/lib/cni"), may_lower_oom_score=False)


@pytest.fixture
def files(known: Settings) -> dict[str, str]:
    """Render every file; by name below etc/."""
    rendered = rendering.build_files(known, MACHINE)
    return {str(path.relative_to(known.etc(""))): text for path, text in rendered.items()}


def criplugin(files: dict[str, str]) -> dict[str, Any]:
    """Read the part of containerd's configuration that Kubernetes uses."""
    plugins = tomllib.loads(files["containerd.toml"])["plugins"]
    settings: dict[str, Any] = plugins["io.containerd.grpc.v1.cri"]
    return settings


def test_every_file_can_be_read(files: dict[str, str]) -> None:
    """JSON and TOML are well formed."""
    assert {name for name in files if name.endswith("json") and json.loads(files[name])}
    assert tomllib.loads(files["containerd.toml"])["version"] == 2
    assert tomllib.loads(files[f"hosts/{REGISTRY}/hosts.toml"])["host"]


def test_every_path_is_ours(known: Settings, files: dict[str, str]) -> None:
    """Nothing of the machine's own containerd, CNI or kubelet is named."""
    paths = set(re.findall(r'"(?:unix://)?(/[a-z][^"]*)"', "\n".join(files.values())))
    ours = (str(known.state), str(known.cache), str(MACHINE.cni), f"/{known.cgroup}")
    foreign = {path for path in paths if not path.startswith(ours)}
    assert foreign <= {"/healthz*", "/readyz*", "/livez*", "/openapi*"}


def test_sandboxes_do_not_ask_for_what_the_machine_refuses(
    known: Settings, files: dict[str, str]
) -> None:
    """Without CAP_SYS_RESOURCE no sandbox would start otherwise."""
    assert criplugin(files)["restrict_oom_score_adj"] is True
    able = rendering.Machine(MACHINE.cni, may_lower_oom_score=True)
    text = rendering.build_containerd(known, able)
    assert criplugin({"containerd.toml": text})["restrict_oom_score_adj"] is False


def test_the_node_pulls_from_the_registry_over_plain_http(
    known: Settings, files: dict[str, str]
) -> None:
    """The name that images carry leads to the registry's address."""
    hosts = tomllib.loads(files[f"hosts/{REGISTRY}/hosts.toml"])
    assert hosts["server"] == f"http://{known.node_ip}:5000"
    assert criplugin(files)["registry"]["config_path"] == str(known.etc("hosts"))


def test_pod_security_is_on(files: dict[str, str]) -> None:
    """A namespace without labels enforces baseline."""
    plugin = json.loads(files["admission.json"])["plugins"][0]
    assert plugin["name"] == "PodSecurity"
    assert plugin["configuration"]["defaults"]["enforce"] == "baseline"


def test_the_kubelet_runs_with_cgroup_v1_and_under_our_cgroup(
    known: Settings, files: dict[str, str]
) -> None:
    """Both versions of cgroups are supported, and all pods are in one place."""
    kubelet = json.loads(files["kubelet.json"])
    assert kubelet["failCgroupV1"] is False
    assert kubelet["cgroupRoot"] == f"/{known.cgroup}"


def test_names_outside_the_cluster_are_refused_at_once(files: dict[str, str]) -> None:
    """CoreDNS orders its plugins itself, so the refusal needs a server block of its own."""
    cluster, _, rest = files["Corefile"].partition("\n}\n")
    assert "kubernetes cluster.local" in cluster
    assert "template" not in cluster
    assert "NXDOMAIN" in rest
