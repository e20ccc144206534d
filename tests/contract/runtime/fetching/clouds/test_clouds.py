"""
``modeldeploy-server fetch`` and a server's own fetching from Google Cloud Storage and Azure.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from modeldeploy_runtime.fetching import uris
from modeldeploy_runtime.fetching.errors import FetchError
from modeldeploy_runtime.fetching.storage import Storage
from testkit.fetches import fetch, same
from testkit.model_servers import running

HALF = "half_plus_two"
# Azure's stand-in is some hundred packages; the pure parts are tested with the others.
pytestmark = pytest.mark.long
CONNECTION = "AZURE_STORAGE_CONNECTION_STRING"
GOOGLE_KEY = "GOOGLE_APPLICATION_CREDENTIALS"


@pytest.fixture(params=["gs", "abfs", "abfss"])
def store(request: pytest.FixtureRequest) -> tuple[str, dict[str, str]]:
    """
    One of the stores: the scheme of its URIs, and the environment that leads there.
    """
    scheme = str(request.param)
    return scheme, request.getfixturevalue("google" if scheme == "gs" else "azure")


def test_the_same_as_from_a_folder(
    models: Path, store: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    """
    A version has the digest that it has on a disk, and its files byte for byte.
    """
    scheme, environ = store
    (tmp_path / "cloud").mkdir()
    (tmp_path / "disk").mkdir()
    outcome = fetch(tmp_path / "cloud", f"{scheme}://models/team/{HALF}", "2", **environ)
    assert (outcome.status, outcome.report["code"]) == (0, "Fetched"), outcome.log
    assert same(models / HALF / "2", outcome.folder)
    there = fetch(tmp_path / "disk", f"{models}/{HALF}").report
    assert outcome.report["digest"] == there["digest"]
    assert outcome.report["files"] == there["files"] == 4


def test_a_container_with_its_account(azure: dict[str, str], tmp_path: Path) -> None:
    """
    The URI may name the account, too, and one that contradicts the credentials is refused.
    """
    uri = f"abfss://models@devstoreaccount1.dfs.core.windows.net/team/{HALF}"
    assert fetch(tmp_path, uri, "2", **azure).status == 0
    outcome = fetch(tmp_path, uri.replace("devstoreaccount1", "other"), "1", **azure)
    assert outcome.report["code"] == "InvalidURI"
    assert "names the account other" in outcome.report["message"]


@pytest.mark.parametrize(
    ("path", "version", "code", "status"),
    [
        ("models/team/half_plus_two", "9", "VersionNotFound", 2),
        ("models/team/none", "1", "VersionNotFound", 2),
        ("none/team/half_plus_two", "1", "StorageNotFound", 2),
        ("models/team/incomplete", "1", "Incomplete", 1),
        ("models/team/broken", "1", "ModelUnusable", 2),
    ],
)
def test_failures(
    store: tuple[str, dict[str, str]],
    tmp_path: Path,
    path: str,
    version: str,
    code: str,
    status: int,
) -> None:
    """
    Each failure has its code, says whether it stays, and leaves nothing behind.
    """
    scheme, environ = store
    outcome = fetch(tmp_path, f"{scheme}://{path}", version, **environ)
    assert (outcome.report["code"], outcome.status) == (code, status), outcome.report
    assert [path.name for path in tmp_path.iterdir()] == ["termination-log"]


@pytest.mark.parametrize(
    ("bucket", "code"), [("none", "StorageNotFound"), ("models", "VersionNotFound")]
)
def test_listing_nothing(
    store: tuple[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch, bucket: str, code: str
) -> None:
    """
    Who looks for versions is told a bucket that is not there from a path that is not.
    """
    scheme, environ = store
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(FetchError) as caught:
        Storage(uris.parse(f"{scheme}://{bucket}/none")).list_folders()
    assert caught.value.code.value == code


def test_azures_wrong_key(azure: dict[str, str], tmp_path: Path) -> None:
    """
    A key that the store refuses may become right, so that its failure may pass.
    """
    wrong = {CONNECTION: azure[CONNECTION].replace("Eby8", "Abc8")}
    outcome = fetch(tmp_path, f"abfs://models/team/{HALF}", "2", **wrong)
    assert (outcome.report["code"], outcome.status) == ("AccessDenied", 1), outcome.report


@pytest.mark.parametrize("given", ["path", "text"])
def test_googles_key(gate: Any, tmp_path: Path, given: str) -> None:
    """
    A service account's key is the contents of the variable, or the file that it names.
    """
    key, text = tmp_path / "key.json", json.dumps(gate.key)
    key.write_text(text)
    environ = {GOOGLE_KEY: str(key) if given == "path" else text}
    environ["STORAGE_EMULATOR_HOST"] = gate.url
    outcome = fetch(tmp_path, f"gs://models/team/{HALF}", "2", **environ)
    assert (outcome.status, outcome.report["code"]) == (0, "Fetched"), outcome.log
    assert gate.tokens_given


@pytest.mark.parametrize("status", [401, 403])
def test_google_refuses(gate: Any, tmp_path: Path, status: int) -> None:
    """
    Who may not read is told so, and it may pass.
    """
    gate.status = status
    environ = {"STORAGE_EMULATOR_HOST": gate.url}
    outcome = fetch(tmp_path, f"gs://models/team/{HALF}", "2", **environ)
    assert (outcome.report["code"], outcome.status) == ("AccessDenied", 1), outcome.report


@pytest.mark.parametrize(
    ("key", "said"),
    [("{}", "cannot be used"), ("{", "cannot be used"), ("/none.json", "there is no such file")],
)
def test_a_key_that_is_none(tmp_path: Path, key: str, said: str) -> None:
    """
    A key that nobody could use is told, and what is wrong with it.
    """
    outcome = fetch(tmp_path, "gs://models/team/m", "2", **{GOOGLE_KEY: key})
    assert outcome.report["code"] == "AccessDenied"
    assert said in outcome.report["message"]


def test_a_server_reads_by_itself(
    store: tuple[str, dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A base path in a cloud is served, with the newest version that is complete.
    """
    scheme, environ = store
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    flags = [f"--model_name={HALF}", f"--model_base_path={scheme}://models/team/{HALF}"]
    with running(tmp_path, *flags) as server:
        server.wait_ready()
        assert server.predict(HALF, {"instances": [1.0]}).headers["x-model-version"] == "2"
