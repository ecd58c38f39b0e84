"""TLS to the server under test; service_identity checks the name in its certificate."""

import socket
import ssl
from ipaddress import ip_address

from cryptography.x509 import load_der_x509_certificate
from service_identity import CertificateError, VerificationError
from service_identity.cryptography import (
    verify_certificate_hostname,
    verify_certificate_ip_address,
)

from stickyd.cli.verify.errors import Unreachable


def client_context(cafile: str | None = None) -> ssl.SSLContext:
    """A context that trusts the platform's authorities, or only those of ``cafile`` (PEM).

    :raise OSError: if the file cannot be read; ssl.SSLError, one of these, if it holds no PEM.
    """
    context = ssl.create_default_context(cafile=cafile)
    # The chain is checked by the context; the name by service_identity, below.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def present(context: ssl.SSLContext, certfile: str, keyfile: str | None) -> None:
    """Use a certificate (PEM) for servers that ask for one.

    :param keyfile: of its key; None if that is in the same file. An encrypted key is not used.
    :raise OSError: as `client_context`.
    """
    # Without this OpenSSL asks on the terminal.
    context.load_cert_chain(certfile, keyfile, password="")


def secured(sock: socket.socket, context: ssl.SSLContext, host: str) -> ssl.SSLSocket:
    """TLS over a connected socket, with the certificate checked for ``host``.

    The socket is closed if that fails.

    :raise Unreachable: with one line that says why.
    """
    try:
        # On failure this closes what it has taken over.
        secure = context.wrap_socket(sock, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        sock.close()
        raise Unreachable(f"TLS: certificate refused: {error.verify_message}") from None
    except TimeoutError:
        sock.close()
        raise Unreachable("TLS: handshake not finished in time") from None
    except ssl.SSLError as error:
        sock.close()
        raise Unreachable(f"TLS: {error.reason or error}") from None
    except (OSError, ValueError) as error:
        sock.close()
        raise Unreachable(f"TLS: {error}") from None
    try:
        _check_name(secure.getpeercert(binary_form=True) or b"", host)
    except Unreachable:
        secure.close()
        raise
    return secure


def _check_name(der: bytes, host: str) -> None:
    try:
        certificate = load_der_x509_certificate(der)
        try:
            address = str(ip_address(host))
        except ValueError:
            verify_certificate_hostname(certificate, host)
        else:
            verify_certificate_ip_address(certificate, address)
    except VerificationError:
        raise Unreachable(f"TLS: the server's certificate does not name {host}") from None
    except (CertificateError, ValueError) as error:
        line = " ".join(str(error).split())
        raise Unreachable(f"TLS: the server's certificate cannot be read: {line}") from None
