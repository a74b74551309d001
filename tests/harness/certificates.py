"""The keys and certificates of a throw-away control plane, made with `cryptography` alone.

Elliptic-curve keys, valid for a day. Nothing here is fit for anything but a test cluster on loopback.
"""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID_FOR = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key as PEM files."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority that issues into one folder."""

    folder: Path
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    path: Path

    @classmethod
    def create(cls, folder: Path, *, name: str) -> "Authority":
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _subject(name, group=None)
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        certificate = (
            _builder(subject=subject, issuer=subject, key=key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .sign(key, hashes.SHA256())
        )
        path = folder / f"{name}.crt"
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return cls(folder=folder, certificate=certificate, key=key, path=path)

    def client(self, name: str, *, group: str | None = None) -> Pair:
        """A certificate that authenticates the user `name` of `group`."""
        return self._issue(name, group=group, usage=ExtendedKeyUsageOID.CLIENT_AUTH, names=())

    def server(self, name: str, *, names: tuple[str, ...]) -> Pair:
        """A certificate for a server that answers under `names` (host names or addresses)."""
        return self._issue(name, group=None, usage=ExtendedKeyUsageOID.SERVER_AUTH, names=names)

    def _issue(self, name: str, *, group: str | None, usage: x509.ObjectIdentifier, names: tuple[str, ...]) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(subject=_subject(name, group=group), issuer=self.certificate.subject, key=key).add_extension(
            x509.ExtendedKeyUsage([usage]), critical=False
        )
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_alternative(n) for n in names]), critical=False
            )
        certificate = builder.sign(self.key, hashes.SHA256())
        stem = name.replace(":", "-")
        pair = Pair(certificate=self.folder / f"{stem}.crt", key=self.folder / f"{stem}.key")
        pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        _write_key(pair.key, key)
        return pair


def signing_pair(folder: Path, *, name: str) -> Pair:
    """A bare key and its public half, as service-account tokens are signed with."""
    key = ec.generate_private_key(ec.SECP256R1())
    pair = Pair(certificate=folder / f"{name}.pub", key=folder / f"{name}.key")
    pair.certificate.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    _write_key(pair.key, key)
    return pair


def _builder(*, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + VALID_FOR)
    )


def _subject(name: str, *, group: str | None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if group is not None:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
    return x509.Name(parts)


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
