"""
Certificates for tests, made by openssl.
"""

import subprocess
from pathlib import Path


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
