"""Addons and options: which there are, what they are given, and what a running cluster keeps."""

from pathlib import Path

import pytest

from modeldeploy_devcluster.embedded import addons, options, pki, processes
from modeldeploy_devcluster.embedded.options import Options
from modeldeploy_devcluster.settings import DevclusterError, Settings


def test_what_was_asked_for_stays_until_something_else_is(known: Settings) -> None:
    """A later command repairs the cluster that is there."""
    known.state.mkdir(parents=True)
    assert options.load(known) == Options()
    options.save(known, Options().changed(nodes=2, addons=("traefik",)))
    assert options.load(known).changed(audit=True) == Options(
        audit=True, nodes=2, addons=("traefik",)
    )


def test_an_unknown_addon_is_refused() -> None:
    """The error names those that there are."""
    addons.check(("metrics-server", "traefik"))
    with pytest.raises(DevclusterError, match="metrics-server, traefik"):
        addons.check(("grafana",))


def test_an_addon_is_a_component_of_the_first_node(known: Settings) -> None:
    """It waits for the API server, and its health is asked there."""
    programs = {name: Path("/programs") / name for name in addons.ADDONS}
    built = addons.build_components(known, programs)
    assert [component.name for component in built] == list(addons.ADDONS)
    for component in built:
        assert component.node == 1
        assert component.needs_api
        assert known.node_ip in component.health
        assert str(programs[component.name] / component.name) in component.argv
    assert addons.build_components(known, {}) == ()


def test_every_object_of_an_addon_stands_at_its_path(known: Settings) -> None:
    """Server-side apply refuses a name that differs from the path."""
    known.pki("").mkdir(parents=True)
    known.pki("ca.crt").write_text("authority")
    for addon in addons.ADDONS.values():
        for path, document in addon.objects(known).items():
            assert path.rpartition("/")[2] == document["metadata"]["name"]
            assert path.startswith("/apis/" if "/" in document["apiVersion"] else "/api/")


def test_addons_have_certificates_of_their_own() -> None:
    """Each is a user that may do what its role says, and no more."""
    users = {identity.user for identity in pki.CLIENTS if identity.group is None}
    assert {"system:metrics-server", "devcluster-traefik"} <= users


def test_a_component_says_how_long_it_runs() -> None:
    """As people read it."""
    running = processes.Running("etcd", "0", 1, "S", 3_725)
    assert running.age == "1h02m"
    assert processes.Running("etcd", "0", 1, "S", 61).age == "1m01s"
