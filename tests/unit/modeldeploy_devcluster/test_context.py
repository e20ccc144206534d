"""An image's tag follows what goes into it, and nothing else."""

from pathlib import Path

import pytest

from modeldeploy_devcluster import context

DOCKERFILE = """\
# COPY this is a comment
ARG BASE_IMAGE=debian:bookworm-slim
FROM ${BASE_IMAGE}
COPY --chown=1:1 --chmod=0644 requirements/*.lock \\
     /app/
RUN --mount=type=secret,id=pip --mount=type=bind,source=wheels,target=/w pip install /w/*
copy ["app/src", "/app/src"]
COPY --from=versitygw versitygw /usr/local/bin/
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make a small checkout."""
    for name in ("requirements/a.lock", "wheels/w.whl", "app/src/a.py", "docs/x.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / ".dockerignore").write_text("# comment\n\n**/__pycache__\n*.tmp\n")
    return tmp_path


def tag(root: Path) -> str:
    """Hash the checkout's one image."""
    return context.content_hash(root, root / "Dockerfile")


def test_every_way_in_is_seen() -> None:
    """COPY with flags, over lines, as JSON, from a stage, and bind mounts."""
    sources = context.find_sources(DOCKERFILE)
    assert sources.paths == ("requirements/*.lock", "wheels", "app/src")
    assert sources.stages == ("versitygw",)


@pytest.mark.parametrize(
    "name", ["requirements/a.lock", "requirements/new.lock", "wheels/w.whl", "app/src/sub/b.py"]
)
def test_a_changed_or_new_file_changes_the_tag(root: Path, name: str) -> None:
    """Whatever is copied or mounted counts."""
    before = tag(root)
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text("changed")
    assert tag(root) != before


def test_a_program_that_loses_its_x_bit_changes_the_tag(root: Path) -> None:
    """The image would differ, so the tag does."""
    before = tag(root)
    (root / "app/src/a.py").chmod(0o755)
    assert tag(root) != before


@pytest.mark.parametrize("name", ["docs/x.md", "app/src/__pycache__/a.pyc", "app/README"])
def test_what_does_not_reach_the_image_does_not_count(root: Path, name: str) -> None:
    """Neither files that nothing copies nor files that .dockerignore leaves out."""
    before = tag(root)
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text("changed")
    assert tag(root) == before


def test_a_new_version_of_a_carried_program_changes_the_tag(root: Path) -> None:
    """Named contexts have no files in the checkout; their keys stand for them."""
    one = context.content_hash(root, root / "Dockerfile", ["versitygw-1"])
    assert one != context.content_hash(root, root / "Dockerfile", ["versitygw-2"])


def test_the_checkouts_place_does_not_count(root: Path) -> None:
    """Two checkouts of the same sources share their images."""
    before = tag(root)
    moved = root.rename(root.with_name("elsewhere"))
    assert tag(moved) == before


@pytest.mark.parametrize(
    ("name", "left_out"),
    [("a.tmp", True), ("sub/a.tmp", False), ("x/y/__pycache__/z", True), ("x/__pycache__x", False)],
)
def test_patterns_mean_what_docker_says(root: Path, name: str, left_out: bool) -> None:  # noqa: FBT001 - a table's column
    """One star stays within a folder; two cross folders; a folder takes all below it."""
    lines = (root / ".dockerignore").read_text().splitlines()
    assert context.build_ignore(lines).matches(name) is left_out
