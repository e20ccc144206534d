"""Processes are found by what they bear, and ended by what they are."""

import subprocess
from collections.abc import Iterator

import pytest

from modeldeploy_devcluster.embedded import processes
from modeldeploy_devcluster.settings import DevclusterError, Settings


@pytest.fixture
def sleeper(known: Settings) -> Iterator[processes.Running]:
    """Start a component that does nothing, behind a launcher that forks as nsenter does."""
    argv = ["unshare", "--fork", "sleep", "60"]
    running = processes.start(known, "sleep", "abc", argv)
    yield running
    processes.stop(running, grace=0)


def test_a_started_process_is_found_without_any_file(
    known: Settings, sleeper: processes.Running
) -> None:
    """A lost state folder does not hide what runs."""
    known.log("sleep").unlink()
    found = processes.find(known)["sleep"]
    assert (found.pid, found.fingerprint, found.works) == (sleeper.pid, "abc", True)


def test_a_process_outlives_its_launcher(sleeper: processes.Running) -> None:
    """The launcher is gone; the process does not belong to the command that started it."""
    answer = subprocess.run(
        ["ps", "-o", "ppid=,args=", "-p", str(sleeper.pid)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "unshare" not in answer.stdout
    assert answer.stdout.split()[1:] == ["sleep", "60"]


def test_a_stopped_process_is_not_found(known: Settings, sleeper: processes.Running) -> None:
    """Stopping waits until the process has gone, and stopping twice is harmless."""
    processes.stop(sleeper)
    assert processes.find(known) == {}
    processes.stop(sleeper)


def test_another_clusters_processes_are_not_ours(
    known: Settings, sleeper: processes.Running, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The mark names the state folder."""
    other = Settings(tmp_path_factory.mktemp("other"), known.cache, known.repo, known.tools)
    assert processes.find(other) == {}
    assert sleeper.pid


def test_a_component_that_dies_is_named_with_the_tail_of_its_log(known: Settings) -> None:
    """The person need not look for the log."""
    argv = ["sh", "-c", "echo no such flag >&2; exit 3"]
    with pytest.raises(DevclusterError, match=r"etcd died; its log .* ends:\nno such flag"):
        processes.start(known, "etcd", "abc", argv)
