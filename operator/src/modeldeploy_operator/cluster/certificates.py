"""
The certificates that pods show to the routers.

The operator's own authority signs them. It follows from the operator's key, so that every operator
with that key has the same one and nothing of it is stored.
"""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_CURVE = ec.SECP256R1()
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""The order of the curve P-256 (NIST SP 800-186): a private key is a number below it."""
_ERA = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2126, 1, 1, tzinfo=UTC))
_SLOW_CLOCKS = timedelta(days=1)
LIFETIME = timedelta(days=3650)
"""How long a pod's certificate is valid; the one of an object goes with it."""


class Authority:
    """
    Signs certificates.
    """

    def __init__(self, secret: bytes) -> None:
        digest = hmac.new(secret, b"authority", hashlib.sha512).digest()
        self._key = ec.derive_private_key(1 + int.from_bytes(digest) % (_ORDER - 1), _CURVE)
        self._name = _named("modeldeploy")
        certificate = (
            _builder(self._name, self._name, self._key, _ERA)
            .serial_number(1)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256(), ecdsa_deterministic=True)
        )
        self.certificate = _pem(certificate)

    def issue(self, host: str, now: datetime) -> tuple[str, str]:
        """
        Issue a certificate for a host.

        Args:
            host: Its DNS name.
            now: The time, from which it is valid for `LIFETIME`.

        Returns:
            The private key and the certificate, as PEM.

        """
        key = ec.generate_private_key(_CURVE)
        certificate = (
            _builder(_named("pods"), self._name, key, (now - _SLOW_CLOCKS, now + LIFETIME))
            .serial_number(x509.random_serial_number())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return _private(key), _pem(certificate)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    valid: tuple[datetime, datetime],
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        subject_name=subject,
        issuer_name=issuer,
        public_key=key.public_key(),
        not_valid_before=valid[0],
        not_valid_after=valid[1],
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _private(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
