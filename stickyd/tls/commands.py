"""The commands between the master and a process that does TLS: AMP over a socket pair."""

from twisted.protocols import amp

from stickyd.tls.certificates import CertificateError


class Open(amp.Command):
    """Master to TLS process: get ready. Answered when it could accept.

    ``about`` is JSON: ``head``, ``send`` and ``grace`` in seconds, ``most`` connections.
    ``secrets`` is a file with certificates and keys (`stickyd.tls.certificates.packed`).
    ``gate`` is the sending end of the inbox in which the master takes connections;
    ``listeners`` are listening sockets with the ids of their listeners.
    """

    arguments = [
        (b"about", amp.String()),
        (b"secrets", amp.Descriptor()),
        (b"gate", amp.Descriptor()),
        (b"listeners", amp.AmpList([(b"id", amp.Integer()), (b"socket", amp.Descriptor())])),
    ]
    errors = {CertificateError: b"CERTIFICATE"}


class Accept(amp.Command):
    """Master to TLS process: accept connections."""


class Renew(amp.Command):
    """Master to TLS process: use other certificates for new connections.

    On an error those of before stay.
    """

    arguments = [(b"secrets", amp.Descriptor())]
    errors = {CertificateError: b"CERTIFICATE"}


class StopAccepting(amp.Command):
    """Master to TLS process: close the listening sockets.

    Answered when no handshake is under way any more, after ``patience`` seconds at most.
    """

    arguments = [(b"patience", amp.Float())]


class Finish(amp.Command):
    """Master to TLS process: the workers have ended; end when every client has what is written.

    ``grace``: seconds, at most.
    """

    arguments = [(b"grace", amp.Float())]
