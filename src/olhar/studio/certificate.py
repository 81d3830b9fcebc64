"""A certificate of this computer's own, so that other machines reach a studio by https.

No authority has signed it, which browsers warn of. It is kept for the user, readable by nobody else, and
used again, so that a browser has to be told once; it is made anew where it runs out or this computer has
got another address.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from olhar.cache_place import cache_folder
from olhar.errors import MissingExtraError, explain_os_errors
from olhar.i18n import _

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_DAYS = 397  # the longest that browsers take (CA/Browser Forum, ballot SC31)
_LEFT = datetime.timedelta(days=14)  # then it is made anew


def tls_files(addresses: list[str]) -> tuple[dict[str, str], str]:
    """A certificate for this computer with its key, made where there is none that fits.

    Args:
        addresses: by which other machines reach this one.

    Returns:
        What uvicorn calls the file, and the certificate's SHA-256 as browsers show it.

    Raises:
        MissingExtraError: the library `cryptography` is not installed.
        NoPermissionError, StorageError: it cannot be kept.
    """
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
    except ImportError as error:
        raise MissingExtraError(
            _(
                "--tls needs the library {library}; install it with: pip install 'olhar[studio]'",
                library="cryptography",
            )
        ) from error
    path = cache_folder() / "certificate" / "studio.pem"
    names = _names()
    wanted = {"127.0.0.1", "::1", *addresses}
    certificate = None
    with suppress(OSError, ValueError):
        if os.name == "nt" or not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
    if certificate is None or not _fits(certificate, names, wanted):
        certificate = _make(path, names, sorted(wanted))
    return {"ssl_certfile": str(path)}, certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def _names() -> list[str]:
    own = socket.gethostname().rstrip(".").lower()
    names = ["localhost", own, f"{own.partition('.')[0]}.local"]
    return [name for name in dict.fromkeys(names) if name.isascii() and name.strip(".")]


def _fits(certificate: Certificate, names: list[str], addresses: set[str]) -> bool:
    from cryptography import x509

    now = datetime.datetime.now(datetime.UTC)
    if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - _LEFT:
        return False
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    has = {str(one) for one in found.get_values_for_type(x509.IPAddress)}
    return has >= addresses and set(found.get_values_for_type(x509.DNSName)) >= set(names)


def _make(path: Path, names: list[str], addresses: list[str]) -> Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"olhar, {names[-1]}"[:64])])
    now = datetime.datetime.now(datetime.UTC)
    alternatives = [
        *map(x509.DNSName, names),
        *(x509.IPAddress(ipaddress.ip_address(one)) for one in addresses),
    ]
    usage = [ExtendedKeyUsageOID.SERVER_AUTH]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # clocks differ
        .not_valid_after(now + datetime.timedelta(days=_DAYS - 1))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    _keep(path, secret + certificate.public_bytes(serialization.Encoding.PEM))
    return certificate


def _keep(path: Path, content: bytes) -> None:
    """One file for both, so that a key never stands beside another's certificate."""
    with explain_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # mkstemp makes files that their owner alone reads.
        number, aside = tempfile.mkstemp(prefix=".", suffix=path.suffix, dir=path.parent)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(content)
            Path(aside).replace(path)
        except BaseException:
            Path(aside).unlink(missing_ok=True)
            raise
