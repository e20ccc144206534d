"""
Models that other people made and published: they load and compute what they should.
"""

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from testkit.model_servers import running

# An audio model, whose SavedModel TensorFlow 2's own loader refuses.
PACKAGE = "basic-pitch==0.4.0"
SAVED_MODEL = "basic_pitch/saved_models/icassp_2022/nmp/"
RATE = 22_050
SAMPLES = 43_844
LOWEST_MIDI_NOTE = 21


@pytest.fixture(scope="module")
def basic_pitch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    The model's folder, taken out of the package without installing it.
    """
    folder = tmp_path_factory.mktemp("basic-pitch")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    subprocess.run([*command, f"--dest={folder}", PACKAGE], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    base = folder / "models" / "basic_pitch"
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith(SAVED_MODEL) and not name.endswith("/"):
                target = base / "1" / name.removeprefix(SAVED_MODEL)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(name))
    return base


def test_basic_pitch(basic_pitch: Path, tmp_path: Path) -> None:
    """
    A pure tone of 440 Hz is heard as the note a', number 69.
    """
    tone = np.sin(2 * np.pi * 440 * np.arange(SAMPLES) / RATE).astype(np.float32)
    flags = ["--model_name=basic_pitch", f"--model_base_path={basic_pitch}"]
    with running(tmp_path, *flags) as server:
        server.wait_ready()
        body = {"inputs": tone.reshape(1, SAMPLES, 1).tolist()}
        answer = server.predict("basic_pitch", body)
    assert answer.status == 200, answer.body[:500]
    notes = np.array(answer.json["outputs"]["note"])[0]
    assert int(np.argmax(notes.mean(axis=0))) + LOWEST_MIDI_NOTE == 69
