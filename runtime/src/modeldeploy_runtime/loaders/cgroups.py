"""Finds the cgroups whose limits bind this process, of cgroup v2 and v1."""

from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def folders(controller: str, root: Path = ROOT, membership: Path = MEMBERSHIP) -> list[Path]:
    """
    List the folders of one controller, such as ``cpu`` or ``memory``.

    Inside a container the group's own folder is usually the root of what is mounted; elsewhere it
    lies deeper, and each folder above it may set a limit too.
    """
    bases = {root, root / controller}
    paths = {"/"}
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers or controller in controllers.split(","):
            if controllers:
                bases.add(root / controllers)
            paths.update(str(parent) for parent in (Path(path), *Path(path).parents))
    return [base / path.lstrip("/") for base in sorted(bases) for path in sorted(paths)]
