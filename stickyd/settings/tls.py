"""The settings of TLS."""

import attrs


@attrs.frozen
class TlsSettings:
    """TLS, in processes of its own.

    :ivar listeners: which of the listeners, counted from 0, are for TLS.
    :ivar redirects: which of them redirect from http to https.
    :ivar certfiles: absolute paths.
    :ivar keyfiles: of the keys, in the same order; empty if they are in the same files.
    :ivar password_file: absolute path of a file with the password of the keys, or "".
    :ivar ca_certs: absolute path of the certificates by which those of clients are verified, or "".
    :ivar client_cert: ``off``, ``optional`` or ``required``.
    """

    listeners: tuple[int, ...] = ()
    redirects: tuple[int, ...] = ()
    certfiles: tuple[str, ...] = ()
    keyfiles: tuple[str, ...] = ()
    password_file: str = ""
    ca_certs: str = ""
    client_cert: str = "off"
    processes: int = 1
