"""Programs are found by what pins them."""

import re
import subprocess
from pathlib import Path

import pytest

from modeldeploy_devcluster import toolchain
from modeldeploy_devcluster.settings import DevclusterError, Settings

GO_MOD = """module x

go 1.24.0

require (
	k8s.io/api v0.34.4 // indirect
	k8s.io/kubernetes v1.34.4 // indirect
)
"""


def test_the_version_is_read_from_the_pin() -> None:
    """A version stands in one place, the go.mod."""
    assert toolchain.module_version(GO_MOD, "k8s.io/kubernetes") == "v1.34.4"


def test_a_module_that_is_not_pinned_is_refused() -> None:
    """A tool without a pin would be built from who knows what."""
    with pytest.raises(DevclusterError, match=r"does not require k8s\.io/kube,"):
        toolchain.module_version(GO_MOD, "k8s.io/kube")


def test_the_lowest_go_version_is_read_from_the_pin() -> None:
    """Versions compare by number: 1.9 is older than 1.24."""
    assert toolchain.go_directive(GO_MOD) == (1, 24, 0)
    assert toolchain.go_directive("go 1.9\n") < toolchain.go_directive(GO_MOD)


def test_kubernetes_is_stamped_with_its_version() -> None:
    """Without the stamps every component calls itself v0.0.0."""
    flags = toolchain.linker_flags(toolchain.TOOLS["kubernetes"], GO_MOD)
    assert "-X k8s.io/component-base/version.gitVersion=v1.34.4" in flags
    assert "-X k8s.io/component-base/version.gitMinor=34" in flags


@pytest.mark.parametrize("changed", [("m2", "s", "f"), ("m", "s2", "f"), ("m", "s", "f2")])
def test_whatever_pins_a_build_is_in_its_key(changed: tuple[str, str, str]) -> None:
    """A changed go.mod, go.sum or flag builds anew."""
    assert toolchain.cache_key("m", "s", "f") == toolchain.cache_key("m", "s", "f")
    assert toolchain.cache_key(*changed) != toolchain.cache_key("m", "s", "f")


@pytest.mark.parametrize("name", toolchain.TOOLS)
def test_every_tool_is_pinned_with_hashes(known: Settings, name: str) -> None:
    """Each module names its program, its version and every hash, and no address."""
    folder = known.tools / name
    go_mod, go_sum = (folder / "go.mod").read_text(), (folder / "go.sum").read_text()
    version = toolchain.module_version(go_mod, toolchain.TOOLS[name].module)
    assert f"{toolchain.TOOLS[name].module} {version} h1:" in go_sum
    assert not re.search("https?://", go_mod + go_sum)


def test_kubernetes_is_replaced_as_a_whole(known: Settings) -> None:
    """The staging modules are those of the same release as Kubernetes itself."""
    go_mod = (known.tools / "kubernetes" / "go.mod").read_text()
    version = toolchain.module_version(go_mod, "k8s.io/kubernetes").replace("v1.", "v0.")
    replaced = re.findall(r"^replace (\S+) => (\S+) (\S+)$", go_mod, re.MULTILINE)
    assert len(replaced) > 20
    assert all(old == new and pinned == version for old, new, pinned in replaced)


def test_a_program_that_is_there_is_not_built(
    known: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second run costs nothing, not even a look at Go."""
    folder = known.tools / "coredns"
    go_mod, go_sum = (folder / "go.mod").read_text(), (folder / "go.sum").read_text()
    flags = toolchain.linker_flags(toolchain.TOOLS["coredns"], go_mod)
    built = known.cache / "programs" / f"coredns-{toolchain.cache_key(go_mod, go_sum, flags)}"
    built.mkdir(parents=True)
    monkeypatch.setenv("PATH", "")
    assert toolchain.ensure(known, "coredns") == built


def test_programs_on_path_follow_a_new_build(known: Settings, tmp_path: Path) -> None:
    """The folder for PATH stays the same when what is behind it changes."""
    for version in ("old", "new"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "tool").write_text(f"#!/bin/sh\necho {version}\n")
        (tmp_path / version / "tool").chmod(0o755)
        path = toolchain.link_programs(known, tmp_path / version, ("tool",))
    said = subprocess.run([path / "tool"], capture_output=True, text=True, check=True).stdout
    assert said == "new\n"
