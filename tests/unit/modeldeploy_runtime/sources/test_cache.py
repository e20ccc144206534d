"""
The cache of versions from elsewhere.
"""

from pathlib import Path

import pytest

from modeldeploy_runtime.fetching import uris
from modeldeploy_runtime.fetching.errors import Code, FetchError
from modeldeploy_runtime.sources.cache import CacheInUseError, VersionCache


def _version(base: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text(text)


def test_a_version_is_kept_while_it_is_held(tmp_path: Path) -> None:
    """
    What two hold goes when the second lets go, and can be brought again.
    """
    _version(tmp_path / "m" / "1", {"model.json": "{}"})
    location = uris.parse(str(tmp_path / "m"))
    cache = VersionCache(str(tmp_path / "cache"))
    for _ in range(2):
        path = cache.bring("a/b", location, "1", saved_model=False)
        assert cache.bring("a/b", location, "1", saved_model=False) == path
        assert (path / "model.json").read_text() == "{}"
        cache.drop("a/b", location, "1")
        assert path.exists()
        cache.drop("a/b", location, "1")
        assert not path.exists()
    assert list(path.parent.iterdir()) == []
    cache.close()


def test_a_manifest_with_digests(tmp_path: Path) -> None:
    """
    Contents that are not those of the manifest are not taken.
    """
    manifest = '{"files": {"model.json": {"size": 2, "sha256": "0123"}}}'
    _version(tmp_path / "1", {"model.json": "{}", "modeldeploy-manifest.json": manifest})
    cache = VersionCache(str(tmp_path / "cache"))
    with pytest.raises(FetchError) as caught:
        cache.bring("m", uris.parse(str(tmp_path)), "1", saved_model=False)
    assert caught.value.code is Code.CONTENT_CHANGED
    assert [path.name for path in (tmp_path / "cache").glob("*/*")] == []
    cache.close()


def test_a_folder_belongs_to_one_server(tmp_path: Path) -> None:
    """
    A second server is refused; what an interrupted fetch left is cleared away at the next start.
    """
    left = tmp_path / "cache" / "m-0" / ".1-abc"
    left.mkdir(parents=True)
    kept = tmp_path / "cache" / "m-0" / "2"
    kept.mkdir()
    first = VersionCache(str(tmp_path / "cache"))
    assert not left.exists()
    assert kept.exists()
    with pytest.raises(CacheInUseError):
        VersionCache(str(tmp_path / "cache"))
    first.close()
    assert kept.exists()


def test_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Without a folder one is made when it is needed, and goes with the cache.
    """
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    _version(tmp_path / "m" / "1", {"model.json": "{}"})
    cache = VersionCache()
    path = cache.bring("m", uris.parse(str(tmp_path / "m")), "1", saved_model=False)
    assert path.is_relative_to(tmp_path)
    cache.close()
    assert not path.exists()
    assert [child.name for child in tmp_path.iterdir()] == ["m"]
