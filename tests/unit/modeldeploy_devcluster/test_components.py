"""The table of components: complete, in order, and aware of what they were given."""

from pathlib import Path

import pytest

from modeldeploy_devcluster.embedded import components, rendering
from modeldeploy_devcluster.embedded.components import Component
from modeldeploy_devcluster.settings import Settings

PROGRAMS = {name: Path("/programs") / name for name in ("kubernetes", "coredns", "registry")}


def table(known: Settings, *, audit: bool = False) -> dict[str, Component]:
    """Build the table, by name."""
    built = components.build_components(known, PROGRAMS, audit=audit)
    return {component.name: component for component in built}


@pytest.fixture
def files(known: Settings) -> dict[Path, str]:
    """Render every file."""
    machine = rendering.Machine(cni=Path("/usr/lib/cni"), may_lower_oom_score=False)
    return rendering.build_files(known, machine)


def test_components_that_need_the_api_server_come_after_it(known: Settings) -> None:
    """The order of the table is the order of starting."""
    names = list(table(known))
    later = [name for name, component in table(known).items() if component.needs_api]
    assert names[: len(names) - len(later)][-1] == "kube-apiserver"
    assert names[-len(later) :] == later


def test_a_component_is_called_like_its_program(known: Settings) -> None:
    """Processes are told from their children by that."""
    assert all(Path(c.argv[0]).name == name for name, c in table(known).items())


def test_every_file_that_a_component_reads_is_rendered(
    known: Settings, files: dict[Path, str]
) -> None:
    """Otherwise a change of it would go unnoticed."""
    for component in table(known, audit=True).values():
        assert set(component.files) <= files.keys()
        named = {path for path in files if any(str(path) in word for word in component.argv)}
        assert named <= set(component.files)


def test_a_changed_file_or_flag_makes_a_component_out_of_date(
    known: Settings, files: dict[Path, str]
) -> None:
    """`up` restarts exactly what changed."""
    before = {name: c.fingerprint(files) for name, c in table(known).items()}
    changed = files | {known.etc("kubelet.json"): "{}"}
    after = {name: c.fingerprint(changed) for name, c in table(known).items()}
    assert {name for name in before if before[name] != after[name]} == {"kubelet"}
    audited = {name: c.fingerprint(files) for name, c in table(known, audit=True).items()}
    assert {name for name in before if before[name] != audited[name]} == {"kube-apiserver"}


def test_rbac_is_on(known: Settings) -> None:
    """Nodes are held to their own objects, everybody else to RBAC."""
    assert "--authorization-mode=Node,RBAC" in table(known)["kube-apiserver"].argv


def test_a_second_node_has_components_of_its_own(known: Settings) -> None:
    """They are called by the node's name, read its own files, and come last."""
    one = components.build_components(known, PROGRAMS, audit=False)
    two = components.build_components(known, PROGRAMS, audit=False, nodes=2)
    more = two[len(one) :]
    assert [c.name for c in two[: len(one)]] == [c.name for c in one]
    assert [c.name for c in more] == ["containerd@node2", "kube-proxy@node2", "kubelet@node2"]
    assert all(c.node == 2 and c.needs_api for c in more)
    machine = rendering.Machine(cni=Path("/usr/lib/cni"), may_lower_oom_score=False)
    files = rendering.build_files(known.node(2), machine)
    for component in more:
        assert component.files
        assert set(component.files) <= files.keys()
    assert not set(files) & set(rendering.build_files(known, machine))


def test_a_lone_node_is_not_declared_dead(known: Settings) -> None:
    """One of two is, after Kubernetes' own time."""
    for nodes, patient in ((1, True), (2, False)):
        table = components.build_components(known, PROGRAMS, audit=False, nodes=nodes)
        [manager] = [c for c in table if c.name == "kube-controller-manager"]
        assert any("grace-period" in flag for flag in manager.argv) is patient
