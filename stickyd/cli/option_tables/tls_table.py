"""The options of TLS, for `stickyd.cli.option_table`."""

from stickyd.cli import parsers
from stickyd.cli.option import Argument, Default, Group, Option
from stickyd.cli.parsers import OneOf, Whole

TLS = (
    Option(
        "ssl-certfile",
        Group.TLS,
        "certificate in PEM, then its issuers', for TLS on every --bind",
        Argument("FILE", parsers.file, repeatable=True),
        "tls.certfiles",
        details="A `--bind` may say `tls:` or `plain:` in front of its address. Read anew on HUP."
        " See [TLS](tls.md).",
    ),
    Option(
        "ssl-keyfile",
        Group.TLS,
        "key of the certificate, one for each --ssl-certfile, in the same order",
        Argument("FILE", parsers.file, repeatable=True),
        "tls.keyfiles",
        default=Default(computed="in the file of the certificate"),
    ),
    Option(
        "ssl-keyfile-password",
        Group.TLS,
        "file with the password of the keys, as @FILE",
        Argument("FILE", parsers.password_file),
        "tls.password_file",
        details="Only as a file: every user of the machine can read a command line.",
    ),
    Option(
        "ssl-ca-certs",
        Group.TLS,
        "certificates in PEM by which those of clients are verified",
        Argument("FILE", parsers.file),
        "tls.ca_certs",
    ),
    Option(
        "ssl-client-cert",
        Group.TLS,
        "ask clients for certificates: off, optional or required",
        Argument("WHEN", OneOf(("off", "optional", "required"))),
        "tls.client_cert",
        details="Needs `--ssl-ca-certs`. See [Client certificates](tls.md#client-certificates).",
    ),
    Option(
        "redirect-http",
        Group.TLS,
        "address whose requests over http are redirected to https",
        Argument("ADDR", parsers.bind_address),
        "tls.redirects",
        details="As for `--bind`. See [From http to https](tls.md#from-http-to-https).",
    ),
    Option(
        "tls-processes",
        Group.TLS,
        "processes that do nothing but TLS",
        Argument("N", Whole(1, 64)),
        "tls.processes",
    ),
)
