"""The groups for the key exchange."""

import os
import subprocess
import sys
import unittest
from unittest import mock

from stickyd.tls import groups

ASKED = """
from OpenSSL import SSL
client = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
client.set_connect_state()
try:
    client.do_handshake()
except SSL.WantReadError:
    print(client.bio_read(65536).hex())
"""


class Groups(unittest.TestCase):
    def test_openssl_reads_the_file(self) -> None:
        """A context offers the groups, in a ClientHello, and no others."""
        variables = groups.group_variables({})
        if not variables:
            self.skipTest("a file of the system's, or an old OpenSSL")
        command = [sys.executable, "-c", ASKED]
        both = {**os.environ, **variables}
        hello = subprocess.run(command, env=both, capture_output=True, text=True, check=True).stdout
        # The extension supported_groups (RFC 8446, 4.2.7): X25519MLKEM768 where OpenSSL has it.
        hybrid, others = "000a000a000811ec", "001d00170018"
        self.assertTrue(hybrid + others in hello or "000a00080006" + others in hello, hello)

    def test_others_have_said_it(self) -> None:
        self.assertEqual(groups.group_variables({"OPENSSL_CONF": "/x"}), {})
        with mock.patch("os.path.exists", return_value=True):
            self.assertEqual(groups.group_variables({}), {})
        with (
            mock.patch("os.path.exists", return_value=False),
            mock.patch.object(groups.SSL, "OPENSSL_VERSION_NUMBER", 0x30000000),
        ):
            self.assertEqual(groups.group_variables({}), {})
