"""
Controllers, a scheduler and nodes without machines, beside a control plane.

kwok plays the kubelets: a pod that is bound to one of its nodes is Running and ready at once, with
an address of a range that leads to this network namespace alone, where `testkit.hollow` answers.
"""

import json
import os
import subprocess
import sys
from typing import Any

from modeldeploy_devcluster import settings, toolchain
from testkit.control_plane import ControlPlane

CONTROL_PLANE_ADDRESS = "10.250.255.1"
PODS = "10.250.0.0/17"
RANGE = "10.250.0.0/16"
CONTROLLERS = (
    *("deployment", "replicaset", "endpointslice", "serviceaccount", "garbage-collector"),
    *("disruption", "namespace"),
)
FETCHED = json.dumps({"code": "Fetched", "digest": f"sha256:{'0' * 64}"})

_READY = """
{{ $now := Now }}
phase: Running
startTime: {{ $now | Quote }}
podIP: {{ PodIPWith .spec.nodeName false .metadata.uid .metadata.name .metadata.namespace | Quote }}
conditions:
{{ range $kind := (list "Initialized" "ContainersReady" "Ready") }}
- {type: {{ $kind }}, status: "True", lastTransitionTime: {{ $now | Quote }}}
{{ end }}
initContainerStatuses:
{{ range .spec.initContainers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  ready: true
  restartCount: 0
  state:
    terminated:
      exitCode: 0
      finishedAt: {{ $now | Quote }}
      message: {{ "FETCHED" | Quote }}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  ready: true
  restartCount: 0
  state: {running: {startedAt: {{ $now | Quote }}}}
{{ end }}
"""


def in_own_network(marker: str = "MODELDEPLOY_HOLLOW_NETWORK") -> None:
    """
    Begin this program anew in a network namespace of its own, where every pod address is local.
    """
    if os.environ.get(marker):
        return
    lines = (
        f"ip link set lo up && ip address add {CONTROL_PLANE_ADDRESS}/32 dev lo"
        f' && ip route add local {RANGE} dev lo && exec "$@"'
    )
    os.environ[marker] = "1"
    command = ["unshare", "--net", "sh", "-c", lines, "sh", sys.executable, *sys.argv]
    os.execvp(command[0], command)  # noqa: S606 - the same program in another network


def start_controllers(plane: ControlPlane) -> None:
    """
    Start the controller manager, with the controllers that pools need, and the scheduler.
    """
    programs = toolchain.ensure(settings.load(), "kubernetes")
    config = plane.kubeconfig()
    plane.start(
        "kube-controller-manager",
        [
            str(programs / "kube-controller-manager"),
            *(f"--kubeconfig={config}", "--leader-elect=false", "--profiling=false"),
            *("--kube-api-qps=200", "--kube-api-burst=400"),
            f"--cert-dir={plane.folder}/controller-manager",
            f"--controllers={','.join(f'{name}-controller' for name in CONTROLLERS)}",
            "--concurrent-deployment-syncs=10",
            "--concurrent-replicaset-syncs=10",
        ],
    )
    scheduler = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": {"kubeconfig": str(config), "qps": 200, "burst": 400},
        "leaderElection": {"leaderElect": False},
    }
    path = plane.folder / "scheduler.json"
    path.write_text(json.dumps(scheduler))
    command = [str(programs / "kube-scheduler"), f"--config={path}"]
    plane.start("kube-scheduler", [*command, f"--cert-dir={plane.folder}/scheduler"])


def start_nodes(plane: ControlPlane, count: int) -> None:
    """
    Make hollow nodes, and start what plays their kubelets.
    """
    program = toolchain.ensure(settings.load(), "kwok") / "kwok"
    path = plane.folder / "stages.json"
    path.write_text("\n---\n".join(json.dumps(stage) for stage in _stages()))
    plane.start(
        "kwok",
        [
            *(str(program), f"--kubeconfig={plane.kubeconfig()}", "--manage-all-nodes=true"),
            *(f"--config={path}", f"--cidr={PODS}", f"--node-ip={CONTROL_PLANE_ADDRESS}"),
            "--node-lease-duration-seconds=0",
        ],
        # Debian's etcd is too old for lists as streams, and kwok would try them for ever.
        {"KUBE_FEATURE_WatchListClient": "false"},
    )
    plane.apply(*(_node(number) for number in range(count)))


def processor_seconds(process: subprocess.Popen[bytes]) -> float:
    """
    Read how much processor time a process has used.
    """
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as file:  # noqa: PTH123 - /proc is no folder of ours
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(process: subprocess.Popen[bytes]) -> int:
    """
    Read how much memory a process holds.
    """
    with open(f"/proc/{process.pid}/statm", encoding="ascii") as file:  # noqa: PTH123 - /proc is no folder of ours
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _node(number: int) -> dict[str, Any]:
    size = {"cpu": "1000", "memory": "4Ti", "pods": "1000"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"hollow-{number}", "labels": {"kubernetes.io/os": "linux"}},
        "status": {"allocatable": size, "capacity": size},
    }


def _stages() -> list[dict[str, Any]]:
    deleted = ".metadata.deletionTimestamp"
    pod, node = {"apiGroup": "v1", "kind": "Pod"}, {"apiGroup": "v1", "kind": "Node"}
    fetched = FETCHED.replace('"', '\\"')
    return [
        _stage(
            "node-ready",
            node,
            [("." + "status.phase", "NotIn", ["Running"])],
            {"statusTemplate": _NODE},
        ),
        _stage(
            "pod-ready",
            pod,
            [(deleted, "DoesNotExist", None), (".status.phase", "In", ["Pending"])],
            {"statusTemplate": _READY.replace("FETCHED", fetched)},
        ),
        _stage("pod-gone", pod, [(deleted, "Exists", None)], {"delete": True}),
    ]


_NODE = """
{{ $now := Now }}
phase: Running
allocatable: {cpu: "1000", memory: 4Ti, pods: "1000"}
capacity: {cpu: "1000", memory: 4Ti, pods: "1000"}
conditions:
- type: Ready
  status: "True"
  reason: Hollow
  message: There is no machine.
  lastHeartbeatTime: {{ $now | Quote }}
  lastTransitionTime: {{ $now | Quote }}
"""


def _stage(
    name: str,
    resource: dict[str, str],
    selectors: list[tuple[str, str, list[str] | None]],
    following: dict[str, Any],
) -> dict[str, Any]:
    matches = [
        {"key": key, "operator": operator, **({"values": values} if values else {})}
        for key, operator, values in selectors
    ]
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": resource,
            "selector": {"matchExpressions": matches},
            "next": following,
        },
    }
