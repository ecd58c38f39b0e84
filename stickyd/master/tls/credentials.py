"""Certificates and keys in the master: read with root's rights at the start, read anew on HUP."""

import os
from collections.abc import Sequence

from twisted.logger import Logger

from stickyd.settings import TlsSettings
from stickyd.tls.certificates import CertificateError, Pair, read_bundle, unpacked

DAY = 86400.0
WARN_DAYS = 14
"""Days before the expiry of a certificate from which it is warned of once a day, and at each read.
Certificates of 90 days are renewed 30 days before their expiry by default (certbot)."""

_log = Logger("stickyd")


class Credentials:
    """The pairs that new TLS processes get.

    The master keeps them: one that is started later must not depend on files that the user, to
    whom twistd has switched, may not read.
    """

    def __init__(self, settings: TlsSettings, data: bytes = b"") -> None:
        self._settings = settings
        self.data = data

    def read(self) -> None:
        """Read the files; on an error what was read before stays.

        :raise CertificateError: with one line that names the file.
        """
        self.data = read_bundle(self._settings).packed()

    def read_once(self) -> str:
        """Read the files, unless that has been done; why that is impossible, or ""."""
        if self.data:
            return ""
        try:
            self.read()
        except CertificateError as error:
            return str(error)
        return ""

    def pairs(self) -> Sequence[Pair]:
        """What has been read."""
        return unpacked(self.data).pairs if self.data else ()

    def expiries(self) -> dict[str, float]:
        """When each certificate expires, in seconds since 1970, by its file."""
        return {pair.source: pair.expires.timestamp() for pair in self.pairs()}

    def warn_of_expiry(self, now: float) -> None:
        """Log which certificates have expired, or will soon.

        :param now: seconds since 1970.
        """
        for source, expires in self.expiries().items():
            days = int((expires - now) / DAY)
            if expires <= now:
                _log.error("the certificate in {source} has expired", source=source)
            elif days < WARN_DAYS:
                text = "the certificate in {source} expires in {days} days"
                _log.warn(text, source=source, days=days)

    def file(self) -> int:
        """An anonymous file with the pairs, for other processes; the caller closes it."""
        descriptor = os.memfd_create("stickyd-tls", os.MFD_CLOEXEC)
        with open(descriptor, "wb", closefd=False) as file:
            file.write(self.data)
        return descriptor
