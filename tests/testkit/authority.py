"""
Certificates for tests, made by openssl.
"""

import subprocess
from pathlib import Path


def ssl_config(key: Path, certificate: Path, ca: Path | None = None) -> str:
    """
    Write a server's SSLConfig; with `ca` clients must show a certificate of its.
    """
    text = f"server_key: {_quoted(key)}\nserver_cert: {_quoted(certificate)}\n"
    return text + (f"custom_ca: {_quoted(ca)}\nclient_verify: true\n" if ca else "")


def _quoted(path: Path) -> str:
    return '"' + path.read_text().replace("\n", "\\n") + '"'


class Authority:
    """
    A certificate authority with openssl.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        self.certificate = folder / "ca.pem"
        self._openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test authority",
        )  # fmt: skip

    def issue(self, name: str, *hosts: str) -> tuple[Path, Path]:
        """
        Issue a key and a certificate under a name, for localhost and further hosts.
        """
        self._number += 1
        key, request, certificate = (f"{name}.key", f"{name}.csr", f"{name}.pem")
        (self._folder / "names").write_text(
            ",".join(["subjectAltName=DNS:localhost", "IP:127.0.0.1", *(f"DNS:{h}" for h in hosts)])
        )
        self._openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", key, "-out", request, "-subj", f"/CN={name}",
        )  # fmt: skip
        self._openssl(
            "x509", "-req", "-in", request, "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2",
            "-set_serial", str(self._number), "-extfile", "names", "-out", certificate,
        )  # fmt: skip
        return self._folder / key, self._folder / certificate

    def secret(self, folder: Path, name: str, *hosts: str) -> Path:
        """
        Write a key and a certificate as a Secret of type `kubernetes.io/tls` is mounted.
        """
        folder.mkdir(exist_ok=True)
        key, certificate = self.issue(name, *hosts)
        (folder / "tls.key").write_text(key.read_text())
        (folder / "tls.crt").write_text(certificate.read_text())
        return folder

    def ssl_config(self, name: str, *hosts: str) -> Path:
        """
        Issue a certificate, and return a server's SSLConfig with it.
        """
        file = self._folder / f"{name}.config"
        file.write_text(ssl_config(*self.issue(name, *hosts)))
        return file

    def file(self, name: str, *hosts: str) -> Path:
        """
        Issue a certificate, and return one file with its key and itself.
        """
        key, certificate = self.issue(name, *hosts)
        both = self._folder / f"{name}.both"
        both.write_text(key.read_text() + certificate.read_text())
        return both

    def _openssl(self, *arguments: str) -> None:
        command = ["openssl", *arguments]
        subprocess.run(command, cwd=self._folder, check=True, capture_output=True)
