# The placer of requests: a part of _native.pyx.

cdef dict _KINDS = {
    "xff": SD_SOURCE_XFF,
    "forwarded": SD_SOURCE_FORWARDED,
    "src": SD_SOURCE_SRC,
    "hdr": SD_SOURCE_HDR,
    "cookie": SD_SOURCE_COOKIE,
    "url_param": SD_SOURCE_URL_PARAM,
    "socketio": SD_SOURCE_SOCKETIO,
    "sockjs": SD_SOURCE_SOCKJS,
    "insert": SD_SOURCE_INSERT,
    "learn_hdr": SD_SOURCE_LEARN_HDR,
    "learn_cookie": SD_SOURCE_LEARN_COOKIE,
    "least": SD_SOURCE_LEAST,
}


cdef class Placer:
    """Places requests by rendezvous hashing, as far as that needs no Python.

    :param hash_key: key and person (16 bytes) of the hash.
    :param tag_key: key and person of the tags in keys that carry their slot.
    :param slots: 1 to 65535, in rising order.
    :param chain: kind and name of each source, and what stands before a learned id where it is
        looked up; names of headers in lower case.
    :param everyone: every peer is trusted.
    :param unix_peers: peers on Unix sockets are trusted.
    :param networks: trusted ones: base and mask, 4 or 16 bytes each.
    :param learned: the memory of the table of learned ids, None without one. It stays mapped for as
        long as the placer exists.
    """

    def __cinit__(
        self,
        tuple hash_key not None,
        tuple tag_key not None,
        list slots not None,
        list chain not None,
        bint everyone,
        bint unix_peers,
        list networks not None,
        object learned=None,
    ):
        cdef Py_ssize_t at
        cdef bytes name, prefix, base, mask
        if not slots or slots != sorted(set(slots)) or min(slots) < 1 or max(slots) > 0xFFFF:
            raise ValueError("slots are 1 to 65535, each once and in rising order")
        self.set_keys(hash_key, tag_key)
        self.c.owners = <uint16_t *>_allocate(SD_BUCKETS, sizeof(uint16_t))
        self._slots = <uint16_t *>_allocate(len(slots), sizeof(uint16_t))
        self._chain = <sd_source *>_allocate(len(chain), sizeof(sd_source))
        self._networks = <sd_network *>_allocate(len(networks), sizeof(sd_network))
        for at in range(len(slots)):
            self._slots[at] = slots[at]
        self._names = []
        for at in range(len(chain)):
            kind, name, prefix = chain[at]
            self._names.append((name, prefix))
            self._chain[at].kind = <sd_source_kind><int>_KINDS[kind]
            self._chain[at].name = PyBytes_AS_STRING(name)
            self._chain[at].name_size = PyBytes_GET_SIZE(name)
            self._chain[at].prefix = <const uint8_t *>PyBytes_AS_STRING(prefix)
            self._chain[at].prefix_size = PyBytes_GET_SIZE(prefix)
        for at in range(len(networks)):
            base, mask = networks[at]
            if len(base) != len(mask) or len(base) not in (4, 16):
                raise ValueError("base and mask of a network are 4 or 16 bytes each")
            self._networks[at].size = len(base)
            memcpy(self._networks[at].base, PyBytes_AS_STRING(base), len(base))
            memcpy(self._networks[at].mask, PyBytes_AS_STRING(mask), len(mask))
        self.c.slots = self._slots
        self.c.slot_count = len(slots)
        self.c.chain = self._chain
        self.c.sources = len(chain)
        self.c.trust.everyone = everyone
        self.c.trust.unix_peers = unix_peers
        self.c.trust.networks = self._networks
        self.c.trust.count = len(networks)
        if learned is not None:
            _open_learned(learned, &self._learned, &self.c.learned)
            self._has_learned = True

    cdef int set_keys(self, tuple hash_key, tuple tag_key) except -1:
        cdef bytes key, person
        for key, person in (hash_key, tag_key):
            if not 1 <= len(key) <= 64 or len(person) != 16:
                raise ValueError("a key has 1 to 64 bytes, a person 16")
        key, person = hash_key
        sd_set_key(&self.c.hash, 8, key, len(key), person)
        key, person = tag_key
        sd_set_key(&self.c.tag, 7, key, len(key), person)
        return 0

    def __dealloc__(self):
        if self._has_learned:
            PyBuffer_Release(&self._learned)
        PyMem_Free(self.c.owners)
        PyMem_Free(self._slots)
        PyMem_Free(self._chain)
        PyMem_Free(self._networks)

    cdef bint read_peer(self, object peer, sd_address *address) except -1:
        """Read canonical text, None for a Unix socket; False for any other text."""
        cdef bytes text
        cdef const uint8_t *start
        cdef char again[SD_TEXT_MOST]
        address.size = 0
        if peer is None:
            return True
        text = peer.encode("ascii", "replace")
        start = <const uint8_t *>PyBytes_AS_STRING(text)
        if not sd_read_ipv4(address, start, start + len(text)):
            if not sd_read_ipv6(address, start, start + len(text)):
                return False
        return sd_address_text(address, again) == <size_t>len(text) and not memcmp(
            again, start, len(text)
        )

    def place(self, bytes data not None, object peer):
        """Where the request belongs whose head is at the start of ``data``.

        :param peer: canonical address, None for a Unix socket.
        :return: slot, source of the chain, and digest of the key; slot 0 if no source gives a
            key; digest None if the key itself names the slot. None: ask the policy.
        """
        cdef sd_head head
        cdef sd_address address
        cdef sd_placement placement
        cdef sd_limits limits
        cdef const uint8_t *start = <const uint8_t *>PyBytes_AS_STRING(data)
        limits.request_line = limits.fields = limits.field_size = limits.head = SD_SIZE_MOST
        if not self.read_peer(peer, &address):
            return None
        if sd_read_head(start, PyBytes_GET_SIZE(data), 0, &limits, &head) != SD_HEAD:
            return None
        sd_place(&self.c, &head, start, &address, &placement)
        if placement.where == SD_PLACED:
            digest = None if placement.declared else placement.digest
            return placement.slot, placement.source, digest
        return (0, 0, None) if placement.where == SD_ANYWHERE else None

    def hands_out_news(self, bytes fields not None, uint16_t slot):
        """For tests: whether an answer of a slot hands out an id that is not known to be the slot's.

        :param fields: lines of name, colon and value.
        """
        return bool(
            sd_hands_out_news(
                &self.c, slot, <const uint8_t *>PyBytes_AS_STRING(fields), PyBytes_GET_SIZE(fields)
            )
        )


cdef void *_allocate(size_t count, size_t size) except NULL:
    cdef void *memory = PyMem_Calloc(count if count else 1, size)
    if memory == NULL:
        raise MemoryError
    return memory


def digest_of(bytes key not None, bytes person not None, int digest_size, bytes message not None):
    """For tests: keyed BLAKE2b as a big-endian number; key 1 to 64 bytes, person 16, digest 1 to 8."""
    cdef sd_keyed keyed
    if not 1 <= len(key) <= 64 or len(person) != 16 or not 1 <= digest_size <= 8:
        raise ValueError("a key has 1 to 64 bytes, a person 16, a digest 1 to 8")
    sd_set_key(&keyed, digest_size, key, len(key), person)
    return sd_digest(&keyed, message, len(message))


cdef int _open_learned(object memory, Py_buffer *buffer, sd_learned *learned) except -1:
    PyObject_GetBuffer(memory, buffer, PyBUF_SIMPLE | PyBUF_WRITABLE)
    if not sd_open_learned(learned, <uint8_t *>buffer.buf, buffer.len):
        PyBuffer_Release(buffer)
        raise ValueError("no table of learned ids of this layout")
    return 0


def find_learned(object memory, bytes prefix not None, bytes id not None, uint64_t now):
    """For tests: the slot of an id in a table, 0 if it is not known or idle.

    :param now: microseconds of the table's clock.
    """
    cdef Py_buffer buffer
    cdef sd_learned learned
    _open_learned(memory, &buffer, &learned)
    try:
        return sd_find_learned(
            &learned,
            <const uint8_t *>PyBytes_AS_STRING(prefix),
            PyBytes_GET_SIZE(prefix),
            <const uint8_t *>PyBytes_AS_STRING(id),
            PyBytes_GET_SIZE(id),
            now,
        )
    finally:
        PyBuffer_Release(&buffer)


cdef sd_span _span_of(bytes text):
    cdef sd_span span
    span.data = <const uint8_t *>PyBytes_AS_STRING(text)
    span.size = PyBytes_GET_SIZE(text)
    return span


cpdef bytes without_cookie(bytes value, bytes name):
    """A Cookie without any cookie called ``name``, empty if nothing is left; None if it has none."""
    cdef bytes room = PyBytes_FromStringAndSize(NULL, PyBytes_GET_SIZE(value))
    cdef sd_span left = sd_without_cookie(
        _span_of(value), name, PyBytes_GET_SIZE(name), <uint8_t *>PyBytes_AS_STRING(room)
    )
    if left.data == NULL:
        return None
    return PyBytes_FromStringAndSize(<const char *>left.data, left.size)


def stored_cookie(bytes value not None, bytes name not None):
    """For tests: as `stickyd.http1.cookie_header.set_cookie`."""
    cdef sd_span found = sd_stored_cookie(_span_of(value), name, PyBytes_GET_SIZE(name))
    if found.data == NULL:
        return None
    return PyBytes_FromStringAndSize(<const char *>found.data, found.size)
