"""The groups for the key exchange, by a file that OpenSSL reads: pyOpenSSL has no call for them."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from OpenSSL import SSL

FILE = Path(__file__).with_name("openssl.cnf")

_VARIABLE = "OPENSSL_CONF"
_OPTIONAL_GROUPS = 0x30300000
"""OpenSSL 3.3: from here on a group with ``?`` in front may be unknown (SSL_CONF_cmd(3))."""


def group_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """What the environment of a TLS process needs for the groups in `FILE`.

    Nothing where the variable, or a file of the system's, says what OpenSSL shall do, as for FIPS.

    :param variables: the environment without it.
    """
    found = re.search(r'"(.*)"', SSL.SSLeay_version(SSL.SSLEAY_DIR).decode("utf-8", "replace"))
    of_system = found is not None and os.path.exists(os.path.join(found[1], "openssl.cnf"))
    if _VARIABLE in variables or of_system or SSL.OPENSSL_VERSION_NUMBER < _OPTIONAL_GROUPS:
        return {}
    return {_VARIABLE: str(FILE)}
