"""
The operator's authority: the same for the same key, and what it signs is what routers ask for.
"""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from modeldeploy_operator.cluster.certificates import LIFETIME, Authority

NOW = datetime(2026, 11, 1, tzinfo=UTC)
HOST = "mnist.vision.svc"


def test_two_operators_with_one_key_are_one_authority() -> None:
    """
    So that neither a restart nor another replica makes pods unknown; another key does.
    """
    assert Authority(b"key").certificate == Authority(b"key").certificate
    assert Authority(b"key").certificate != Authority(b"other").certificate


def test_it_signs_for_a_host_and_a_time() -> None:
    """
    Each certificate has a key of its own, names the host, and signs no further ones.
    """
    authority = Authority(b"key")
    key, pem = authority.issue(HOST, NOW)
    certificate = x509.load_pem_x509_certificate(pem.encode())
    certificate.verify_directly_issued_by(
        x509.load_pem_x509_certificate(authority.certificate.encode())
    )
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [HOST]
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert not constraints.ca
    assert certificate.not_valid_before_utc < NOW
    assert certificate.not_valid_after_utc == NOW + LIFETIME
    private = load_pem_private_key(key.encode(), None)
    assert private.public_key() == certificate.public_key()
    assert authority.issue(HOST, NOW)[0] != key


def test_a_client_believes_it(tmp_path: Path) -> None:
    """
    OpenSSL, which the router has too, takes both files.
    """
    authority = Authority(b"key")
    key, pem = authority.issue(HOST, datetime.now(UTC) - timedelta(days=1))
    (tmp_path / "both").write_text(pem + key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "both")
    client = ssl.create_default_context(cadata=authority.certificate)
    inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
    asks = client.wrap_bio(inward, outward, server_hostname=HOST)
    answers = server.wrap_bio(outward, inward, server_side=True)
    for end in (asks, answers, asks, answers):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert asks.getpeercert()
