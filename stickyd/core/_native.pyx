# cython: language_level=3
"""The compiled head reader and placer: Python's face of the C headers.

Imports nothing of the package: what it makes and whom it asks, it is told.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
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


include "native_placer.pxi"
