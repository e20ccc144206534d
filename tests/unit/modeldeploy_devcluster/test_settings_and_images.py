"""Small pure parts: settings, image names, index settings, packages, routes, the command line."""

import os
from pathlib import Path

import pytest

from modeldeploy_devcluster import cli, images, index_settings, kind, packages, settings
from modeldeploy_devcluster.embedded import node, pki
from modeldeploy_devcluster.settings import DevclusterError, Settings


def test_the_environment_moves_every_folder() -> None:
    """State, cache and addresses can all be elsewhere."""
    environ = {"MODELDEPLOY_STATE": "/s", "MODELDEPLOY_CACHE": "/c", "MODELDEPLOY_NETWORK": "10.9"}
    known = settings.load(environ)
    assert (known.state, known.cache) == (Path("/s"), Path("/c/modeldeploy"))
    assert (known.node_ip, known.kubernetes_ip) == ("10.9.255.2", "10.9.64.1")


def test_the_cache_follows_the_desktops_convention() -> None:
    """Without a wish of ours XDG_CACHE_HOME decides."""
    assert settings.load({"XDG_CACHE_HOME": "/x"}).cache == Path("/x/modeldeploy")


def test_an_interfaces_name_fits_the_kernel(known: Settings) -> None:
    """Linux allows 15 characters."""
    assert len(known.link) <= 15


def test_the_checkout_is_found_from_the_package() -> None:
    """Commands work from every folder."""
    assert (settings.load({}).repo / "kind-config.yaml").is_file()


def test_an_unknown_image_is_named_with_those_there_are(known: Settings) -> None:
    """A typo is told in one sentence."""
    with pytest.raises(DevclusterError, match="no image 'runtim'; there are: runtime, operator"):
        images.describe(known, "runtim")


def test_index_settings_of_the_machine_reach_the_build_and_its_paths_do_not() -> None:
    """Addresses are needed inside; paths mean nothing there."""
    text = "[global]\nindex-url = https://mirror/simple\nfind-links = /opt/wheels\ncert = /etc/c\n"
    conf = index_settings.build_pip_conf([text], {"PIP_TRUSTED_HOST": "mirror", "PIP_CERT": "/x"})
    assert "index-url = https://mirror/simple\n" in conf
    assert "trusted-host = mirror\n" in conf
    assert f"cert = {index_settings.CA_IN_BUILD}\n" in conf
    assert "/opt" not in conf
    assert "/etc" not in conf


def test_build_secrets_are_for_their_owner_alone(tmp_path: Path) -> None:
    """An index address may hold a password."""
    files = index_settings.write(tmp_path, {})
    assert files["pip"].stat().st_mode & 0o077 == 0


def test_only_packages_whose_programs_are_missing_are_installed() -> None:
    """What is there, from wherever, is used."""
    programs = {"sh": "dash", "no-such-program-a": "one", "no-such-program-b": "one"}
    assert packages.missing_packages(programs) == ["one"]


@pytest.mark.parametrize(
    ("routes", "taken"),
    [
        (["default", "192.0.2.0/24"], None),
        (["10.0.0.0/8"], "10.0.0.0/8"),
        (["10.197.64.7"], "10.197.64.7"),
    ],
)
def test_addresses_are_never_given_twice(routes: list[str], taken: str | None) -> None:
    """A wider route, a narrower one, and none."""
    assert node.overlapping(routes, "10.197.0.0/16") == taken


def test_keys_are_made_once(known: Settings) -> None:
    """A second `up` keeps every certificate, and private files are private."""
    pki.ensure(known)
    before = {path: path.read_bytes() for path in known.pki("").iterdir()}
    pki.ensure(known)
    assert {path: path.read_bytes() for path in known.pki("").iterdir()} == before
    assert known.kubeconfig.stat().st_mode & 0o077 == 0
    assert known.pki("ca.key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("script", "answers"), [("exit 1", False), ("echo 28.1", True)])
def test_a_docker_client_alone_does_not_count(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    answers: bool,  # noqa: FBT001 - a table's column
) -> None:
    """Only an engine that answers makes the cluster a kind cluster."""
    (tmp_path / "docker").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    assert kind.engine_answers() is answers


def test_every_command_has_a_help_text(capsys: pytest.CaptureFixture[str]) -> None:
    """The docstrings are the help."""
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    said = capsys.readouterr().out
    assert all(name in said for name in cli.COMMANDS)
    assert all(getattr(cli.Commands, name).__doc__ for name in cli.COMMANDS)


def test_what_goes_wrong_is_one_sentence_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback for what a person must mend."""
    monkeypatch.setenv("MODELDEPLOY_CLUSTER", "minikube")
    assert cli.main(["status"]) == 1
    assert "it may be kind or embedded." in capsys.readouterr().err
