"""
Makes the cluster tests' models: half_plus_two in versions that answer version + 1 to an input of 0.

Version 8 is broken (its graph is no protocol buffer) and version 9 is incomplete.
"""

import shutil
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples/half_plus_two/make_model.py"
GOOD = (1, 2, 3)


def main() -> None:
    """
    Write all versions below the folder that the command line names.
    """
    folder = Path(sys.argv[1])
    for version in GOOD:
        offset = f"--offset={version + 1}"
        command = [sys.executable, str(EXAMPLE), f"--model_version={version}", offset, str(folder)]
        subprocess.run(command, check=True, capture_output=True)
    shutil.copytree(folder / "1", folder / "8")
    (folder / "8" / "saved_model.pb").write_bytes(b"this is no graph")
    shutil.copytree(folder / "1", folder / "9")
    next((folder / "9" / "variables").glob("variables.data-*")).unlink()


if __name__ == "__main__":
    main()
