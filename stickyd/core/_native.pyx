# cython: language_level=3
"""The compiled head reader and placer: Python's face of the C headers.

Imports nothing of the package: what it makes and whom it asks, it is told.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp, memcpy, strlen

from stickyd.core.headers cimport *

cdef extern from *:
    """
    #ifndef STICKYD_SOURCES
    #error "build with setup.py, which defines STICKYD_SOURCES"
    #endif
    """
    const char *STICKYD_SOURCES

cdef extern from "Python.h":
    ctypedef struct TupleType "PyTypeObject":
        object (*tp_alloc)(TupleType *, Py_ssize_t)

BUILT_FROM = STICKYD_SOURCES.decode("ascii")
"""The digest of the sources that this module was built from; see `stickyd.core.sources`."""

cdef enum:
    NAMES_REMEMBERED = 1024  # a power of two

cdef frozenset _NO_OPTIONS = frozenset()
cdef bytes _GET = b"GET"
cdef bytes _POST = b"POST"
cdef tuple _HEAD_FIELDS = (
    "method", "target", "minor", "fields", "length", "size", "keep_alive", "connection",
    "expects_continue",
)


cdef inline void _put(object target, Py_ssize_t at, object value):
    Py_INCREF(value)
    PyTuple_SET_ITEM(target, at, value)


cdef inline bytes _cut(const uint8_t *data, uint32_t start, uint32_t size):
    return PyBytes_FromStringAndSize(<const char *>data + start, size)


cdef class HeadReader:
    """Reads plain heads itself, and has ``python`` read all others.

    :param head: the type of a head, a named tuple.
    :param options: makes the options of one value of Connection.
    :param python: the reader of everything, with the arguments of `read`.
    """

    def __cinit__(self, type head, object options, object python):
        if not issubclass(head, tuple) or head._fields != _HEAD_FIELDS:
            raise TypeError(f"{head!r} is not the head that this module was written for")
        self._head = head
        self._options = options
        self._python = python
        self._names = [None] * NAMES_REMEMBERED
        self._limits = None

    def read(self, data, limits, Py_ssize_t scanned=0):
        """As ``python``, whose verdict it gives."""
        cdef sd_head head
        cdef sd_verdict verdict
        cdef const uint8_t *start
        if type(data) is not bytes or scanned < 0:
            return self._python(data, limits, scanned)
        if limits is not self._limits:
            self.take_limits(limits)
        start = <const uint8_t *>PyBytes_AS_STRING(data)
        verdict = sd_read_head(start, PyBytes_GET_SIZE(data), scanned, &self._bounds, &head)
        if verdict == SD_HEAD:
            return self.make(start, &head)
        if verdict == SD_INCOMPLETE:
            return None
        return self._python(data, limits, scanned)

    cdef int take_limits(self, object limits) except -1:
        """Remember the bounds of a frozen ``Limits``, which is kept, so that its id stays its."""
        self._bounds.request_line = min(limits.request_line, SD_SIZE_MOST)
        self._bounds.fields = min(limits.fields, SD_SIZE_MOST)
        self._bounds.field_size = min(limits.field_size, SD_SIZE_MOST)
        self._bounds.head = min(limits.head, SD_SIZE_MOST)
        self._limits = limits
        return 0

    cdef object make(self, const uint8_t *data, const sd_head *head):
        """The Python value of a head that `sd_read_head` found in ``data``."""
        cdef list fields = PyList_New(head.count)
        cdef object options = _NO_OPTIONS
        cdef const sd_field *field
        cdef uint32_t at
        cdef object value, more
        cdef object pair, made, method
        for at in range(head.count):
            field = &head.fields[at]
            value = _cut(data, field.value, field.value_size)
            pair = PyTuple_New(2)
            _put(pair, 0, self._name(data + field.name, field.name_size, field.hash))
            _put(pair, 1, value)
            Py_INCREF(pair)
            PyList_SET_ITEM(fields, at, pair)
            if field.id == SD_CONNECTION:
                more = self._options(value)
                options = options | more if options else more
        if head.method_size == 3 and memcmp(data, b"GET", 3) == 0:
            method = _GET
        elif head.method_size == 4 and memcmp(data, b"POST", 4) == 0:
            method = _POST
        else:
            method = _cut(data, 0, head.method_size)
        # As `tuple.__new__` makes one of a subclass, without a tuple in between.
        made = (<TupleType *>self._head).tp_alloc(<TupleType *>self._head, 9)
        _put(made, 0, method)
        _put(made, 1, _cut(data, head.target, head.target_size))
        _put(made, 2, head.minor)
        _put(made, 3, fields)
        _put(made, 4, head.length)
        _put(made, 5, head.size)
        _put(made, 6, True if head.flags & SD_KEEP_ALIVE else False)
        _put(made, 7, options)
        _put(made, 8, False)
        return made

    cdef object _name(self, const uint8_t *name, uint32_t size, uint32_t hash):
        """A name in lower case; names repeat from request to request."""
        cdef object known = self._names[hash % NAMES_REMEMBERED]
        cdef const char *text
        cdef uint8_t *lower
        cdef uint32_t at
        if known is not None and PyBytes_GET_SIZE(known) == size:
            text = PyBytes_AS_STRING(known)
            for at in range(size):
                if sd_lower(name[at]) != <uint8_t>text[at]:
                    break
            else:
                return known
        known = PyBytes_FromStringAndSize(NULL, size)
        lower = <uint8_t *>PyBytes_AS_STRING(known)
        for at in range(size):
            lower[at] = sd_lower(name[at])
        if size <= 64:
            self._names[hash % NAMES_REMEMBERED] = known
        return known


cdef dict _KINDS = {
    "xff": SD_SOURCE_XFF,
    "forwarded": SD_SOURCE_FORWARDED,
    "src": SD_SOURCE_SRC,
    "hdr": SD_SOURCE_HDR,
    "cookie": SD_SOURCE_COOKIE,
    "url_param": SD_SOURCE_URL_PARAM,
    "socketio": SD_SOURCE_SOCKETIO,
    "sockjs": SD_SOURCE_SOCKJS,
}


cdef class Placer:
    """Places requests by rendezvous hashing, as far as that needs no Python.

    :param hash_key: key and person (16 bytes) of the hash.
    :param tag_key: key and person of the tags in keys that carry their slot.
    :param slots: 1 to 65535, in rising order.
    :param chain: kind and name of each source; names of headers in lower case.
    :param everyone: every peer is trusted.
    :param unix_peers: peers on Unix sockets are trusted.
    :param networks: trusted ones: base and mask, 4 or 16 bytes each.
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
    ):
        cdef Py_ssize_t at
        cdef bytes name, base, mask
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
            kind, name = chain[at]
            self._names.append(name)
            self._chain[at].kind = <sd_source_kind><int>_KINDS[kind]
            self._chain[at].name = PyBytes_AS_STRING(name)
            self._chain[at].name_size = PyBytes_GET_SIZE(name)
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
