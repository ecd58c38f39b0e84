"""What client and server agree about compression: permessage-deflate (RFC 7692)."""

import re
import zlib

from tests.slow.websocket_cases.frames import Breach, pieces

_TAIL = b"\x00\x00\xff\xff"
_INPUT, _OUTPUT = 512, 128
_BITS = re.compile(r"[89]|1[0-5]")
_KNOWN = {
    "server_no_context_takeover",
    "client_no_context_takeover",
    "server_max_window_bits",
    "client_max_window_bits",
}


def _parameters(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.split(";")[1:]:
        name, _, value = part.partition("=")
        if name.strip() in found:
            raise Breach(f"{name.strip()} twice (RFC 7692, 7.1)")
        found[name.strip()] = value.strip().strip('"')
    return found


class Agreed:
    """The extension as it was negotiated, and the state of both directions.

    :ivar deflate: whether there is one.
    :ivar server_bits: of the window that the server may use.
    :ivar client_bits: of ours.
    """

    def __init__(self, parameters: dict[str, str] | None) -> None:
        self.deflate = parameters is not None
        told = parameters or {}
        self.server_bits = int(told.get("server_max_window_bits") or 15)
        self.client_bits = int(told.get("client_max_window_bits") or 15)
        self.server_forgets = "server_no_context_takeover" in told
        self.client_forgets = "client_no_context_takeover" in told
        self._inflater = zlib.decompressobj(-self.server_bits)
        self._deflater = self._new_deflater()

    def _new_deflater(self) -> "zlib._Compress":
        # zlib knows no raw window of 256 bytes; without references back it is as good.
        if self.client_bits == 8:
            return zlib.compressobj(9, zlib.DEFLATED, -9, 9, zlib.Z_HUFFMAN_ONLY)
        return zlib.compressobj(9, zlib.DEFLATED, -self.client_bits)

    @classmethod
    def of(cls, offer: str, answer: str) -> "Agreed":
        """From the two header fields.

        :raise Breach: if the answer is none to any offer (RFC 7692, 7.1).
        """
        if not answer:
            return cls(None)
        if answer.split(";")[0].strip() != "permessage-deflate" or "," in answer:
            raise Breach(f"an extension that was not offered: {answer!r} (4.2.2)")
        told = _parameters(answer)
        for name, value in told.items():
            bits = name.endswith("_bits")
            if name not in _KNOWN or (bits and not _BITS.fullmatch(value)) or (value and not bits):
                raise Breach(f"a parameter that is none: {name}={value} (RFC 7692, 7)")
        offers = [_parameters(one) for one in offer.split(",")]
        if not any(_answers(one, told) for one in offers):
            raise Breach(f"{answer!r} is no answer to {offer!r} (RFC 7692, 7.1)")
        return cls(told)

    def deflated(self, data: bytes) -> bytes:
        """A message of ours, compressed (RFC 7692, 7.2.1)."""
        if self.client_forgets:
            self._deflater = self._new_deflater()
        whole = self._deflater.compress(data) + self._deflater.flush(zlib.Z_SYNC_FLUSH)
        return whole.removesuffix(_TAIL)

    def inflate(self, data: bytes) -> bytes:
        """A message of the server's (RFC 7692, 7.2.2)."""
        if self.server_forgets:
            self._inflater = zlib.decompressobj(-self.server_bits)
        inflated = []
        try:
            # zlib looks beyond the window as far as one call's output goes: so little of it.
            for piece in pieces(data + _TAIL, _INPUT):
                while piece:
                    inflated.append(self._inflater.decompress(piece, _OUTPUT))
                    piece = self._inflater.unconsumed_tail
            while more := self._inflater.decompress(b"", _OUTPUT):
                inflated.append(more)
            return b"".join(inflated)
        except zlib.error as error:
            raise Breach(f"a message that cannot be inflated: {error} (RFC 7692, 7.2)") from None


def _answers(offer: dict[str, str], answer: dict[str, str]) -> bool:
    """Whether an answer may be one to an offer."""
    if "server_no_context_takeover" in offer and "server_no_context_takeover" not in answer:
        return False
    if "server_max_window_bits" in offer:
        told = answer.get("server_max_window_bits")
        if told is None or int(told) > int(offer["server_max_window_bits"]):
            return False
    if "client_max_window_bits" in answer:
        if "client_max_window_bits" not in offer:
            return False
        if int(answer["client_max_window_bits"]) > int(offer["client_max_window_bits"] or 15):
            return False
    return True
