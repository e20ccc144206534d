"""
What an image build needs from this machine to reach package indexes, as build secrets.

A Dockerfile mounts them for one RUN step, and nothing of them stays in the image:

    RUN --mount=type=secret,id=pip --mount=type=secret,id=ca \
        PIP_CONFIG_FILE=/run/secrets/pip python3 -m pip install …

Without the secrets the same line works too: pip ignores a configuration file that is not there.
"""

import configparser
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

CA_IN_BUILD = "/run/secrets/ca"
_KEPT = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")
_BUNDLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE")


def build_pip_conf(texts: Iterable[str], environ: Mapping[str, str]) -> str:
    r"""
    Build a pip.conf with the machine's index settings, and none that name paths of the machine.

    >>> print(build_pip_conf(["[global]\nindex-url = https://a/\ncert = /b\n"], {}))
    [global]
    cert = /run/secrets/ca
    index-url = https://a/
    <BLANKLINE>
    """
    settings = {"cert": CA_IN_BUILD}
    for text in texts:
        parser = configparser.RawConfigParser()
        parser.read_string(text)
        for section in ("global", "install"):
            items = dict(parser.items(section)) if parser.has_section(section) else {}
            settings |= {key: value for key, value in items.items() if key in _KEPT}
    for key in _KEPT:
        value = environ.get(f"PIP_{key.upper().replace('-', '_')}")
        if value:
            settings[key] = value
    lines = [f"{key} = {value}" for key, value in settings.items()]
    return "\n".join(["[global]", *lines]) + "\n"


def write(folder: Path, environ: Mapping[str, str] = os.environ) -> dict[str, Path]:
    """Write the secrets into a folder that only this user may read; give them by id."""
    home = Path.home()
    candidates = [Path("/etc/pip.conf"), home / ".pip/pip.conf", home / ".config/pip/pip.conf"]
    if environ.get("PIP_CONFIG_FILE"):
        candidates.append(Path(environ["PIP_CONFIG_FILE"]))
    texts = [path.read_text() for path in candidates if path.is_file()]
    names = [environ[name] for name in _BUNDLES if environ.get(name)]
    bundles = [Path(name) for name in (*names, "/etc/ssl/certs/ca-certificates.crt")]
    bundle = next((path for path in bundles if path.is_file()), None)
    pip, ca = folder / "pip", folder / "ca"
    pip.touch(mode=0o600)
    text = build_pip_conf(texts, environ)
    pip.write_text(text if bundle else text.replace(f"cert = {CA_IN_BUILD}\n", ""))
    ca.write_bytes(bundle.read_bytes() if bundle else b"")
    return {"pip": pip, "ca": ca}
