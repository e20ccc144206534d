"""
kind-config.yaml is read by kind itself.

kind loads its configuration before it asks Docker for anything and validates it before it creates
anything. The engine here is a stub that says no, so what kind complains of last shows how far it
came. No container is started.
"""

import os
import subprocess
from pathlib import Path

import pytest

from modeldeploy_devcluster import settings, toolchain

ROOT = Path(__file__).parents[3]
STUB = (
    '#!/bin/sh\ncase $1 in info) echo "{}" ;; ps) ;; *) echo "no engine here" >&2; exit 1 ;; esac\n'
)


@pytest.fixture(scope="module")
def kind() -> Path:
    """Build kind from its pinned module; a few seconds, once."""
    return toolchain.ensure(settings.load(), "kind") / "kind"


def create(kind: Path, config: Path, folder: Path) -> str:
    """Ask kind for a cluster where no engine can give one; give what it says."""
    stub = folder / "docker"
    stub.write_text(STUB)
    stub.chmod(0o755)
    command = [str(kind), "create", "cluster", f"--config={config}"]
    command.append(f"--kubeconfig={folder / 'kubeconfig'}")
    environ = {"PATH": f"{folder}{os.pathsep}/usr/bin:/bin", "HOME": str(folder)}
    result = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    return result.stderr


@pytest.mark.long
@pytest.mark.timeout(300)
def test_kind_takes_the_configuration(kind: Path, tmp_path: Path) -> None:
    """Kind decodes and validates the file and gets as far as asking for the node's image."""
    said = create(kind, ROOT / "kind-config.yaml", tmp_path)
    assert 'Creating cluster "modeldeploy"' in said
    assert "no engine here" in said


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        ("role:", "rolle:", "field rolle not found"),
        ("control-plane", "pilot", "is not a valid node role"),
    ],
)
def test_kind_refuses_a_broken_configuration(
    kind: Path, tmp_path: Path, right: str, wrong: str, complaint: str
) -> None:
    """The test above would fail if kind-config.yaml were wrong."""
    broken = tmp_path / "broken.yaml"
    broken.write_text((ROOT / "kind-config.yaml").read_text().replace(right, wrong))
    assert complaint in create(kind, broken, tmp_path)


def test_kind_creates_the_cluster_that_the_adapter_looks_for() -> None:
    """The name in the file is the one that up, down and load use."""
    assert "name: modeldeploy\n" in (ROOT / "kind-config.yaml").read_text()
