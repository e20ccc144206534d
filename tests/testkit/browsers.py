"""
A real Chromium, driven through its DevTools protocol over a pair of pipes.
"""

import base64
import itertools
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from modeldeploy_devcluster import packages

PROGRAMS = {"chromium": "chromium"}
"""The program that these tests run, and the Debian package that brings it."""
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--remote-debugging-pipe",
)
WAIT_SECONDS = 30.0
END_SECONDS = 10.0


class Page:
    """
    One page of a browser; what goes wrong in it is collected in ``problems``.
    """

    def __init__(self, to_browser: IO[bytes], from_browser: IO[bytes]) -> None:
        self._to, self._from = to_browser, from_browser
        self._numbers = itertools.count(1)
        self._session = ""
        self.problems: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        """
        Call a method of the protocol and return its result.
        """
        message = {"id": next(self._numbers), "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._to.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == message["id"]:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]

    def _read(self) -> Any:
        data = bytearray()
        while (byte := self._from.read(1)) != b"\0":
            if not byte:
                raise AssertionError("The browser is gone.")
            data += byte
        answer = json.loads(data)
        method, parameters = answer.get("method"), answer.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.problems.append(str(parameters["exceptionDetails"]))
        elif method == "Log.entryAdded" and parameters["entry"]["source"] != "network":
            self.problems.append(parameters["entry"]["text"])
        return answer

    def open(self, url: str) -> None:
        """
        Go to a page.
        """
        self.call("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        """
        Evaluate an expression in the page, which may be a promise, and return its value.
        """
        result = self.call(
            "Runtime.evaluate",
            expression=script,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        if "exceptionDetails" in result:
            raise AssertionError(result["exceptionDetails"]["exception"]["description"])
        return result["result"].get("value")

    def wait(self, script: str, seconds: float = WAIT_SECONDS) -> None:
        """
        Wait until an expression is true.
        """
        end = time.monotonic() + seconds
        while not self.run(f"Boolean({script})"):
            if time.monotonic() > end:
                raise AssertionError(
                    f"{script} did not become true: {self.run('document.body.innerText')}"
                )
            time.sleep(0.05)

    def text(self, selector: str) -> str:
        """
        Read what a person sees of an element.
        """
        return str(self.run(f"document.querySelector({json.dumps(selector)}).innerText"))

    def type(self, text: str) -> None:
        """
        Insert text where the focus is.
        """
        self.call("Input.insertText", text=text)

    def press(self, key: str, code: int, modifiers: int = 0) -> None:
        """
        Press and release a key.
        """
        text = {"text": "\r"} if key == "Enter" else {}
        common = {"key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        self.call("Input.dispatchKeyEvent", type="keyDown", **common, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def look(self, width: int, height: int, scheme: str = "light") -> None:
        """
        Set the size of the window and whether the person likes it light or dark.
        """
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", features=[feature])

    def picture(self, path: Path) -> None:
        """
        Write the whole page as a PNG.
        """
        taken = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(taken["data"]))


@contextmanager
def chromium(folder: Path) -> Iterator[Page]:
    """
    Run a Chromium with a profile of its own while the block runs.
    """
    packages.ensure(packages.missing_packages(PROGRAMS))
    in_read, in_write = os.pipe()
    out_read, out_write = os.pipe()
    # The protocol is on the descriptors 3 and 4.
    script = f'exec "$0" "$@" 3<&{in_read} 4>&{out_write}'
    command = ["bash", "-c", script, "chromium", *FLAGS, f"--user-data-dir={folder}/profile"]
    with (folder / "chromium.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            pass_fds=(in_read, out_write),
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "HOME": str(folder)},
        )
    os.close(in_read)
    os.close(out_write)
    with os.fdopen(in_write, "wb", buffering=0) as to, os.fdopen(out_read, "rb") as answers:
        try:
            yield Page(to, answers)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(END_SECONDS)
