"""Certificates and keys in the master: read with root's rights at the start, read anew on HUP."""

import os

from stickyd.settings import TlsSettings
from stickyd.tls.certificates import CertificateError, Pair, packed, read_pairs


class Credentials:
    """The pairs that new TLS processes get.

    The master keeps them: one that is started later must not depend on files that the user, to
    whom twistd has switched, may not read.
    """

    def __init__(self, settings: TlsSettings, data: bytes = b"") -> None:
        self._settings = settings
        self.data = data

    def read(self) -> list[Pair]:
        """Read the files; on an error what was read before stays.

        :raise CertificateError: with one line that names the file.
        """
        pairs = read_pairs(self._settings)
        self.data = packed(pairs)
        return pairs

    def read_once(self) -> str:
        """Read the files, unless that has been done; why that is impossible, or ""."""
        if self.data:
            return ""
        try:
            self.read()
        except CertificateError as error:
            return str(error)
        return ""

    def file(self) -> int:
        """An anonymous file with the pairs, for other processes; the caller closes it."""
        descriptor = os.memfd_create("stickyd-tls", os.MFD_CLOEXEC)
        with open(descriptor, "wb", closefd=False) as file:
            file.write(self.data)
        return descriptor
