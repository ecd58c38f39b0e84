"""For other compiled modules: the head reader and the placer."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

from stickyd.core.headers cimport (
    sd_address,
    sd_head,
    sd_limits,
    sd_network,
    sd_placer,
    sd_source,
    sd_verdict,
)


cdef class HeadReader:
    cdef object _python
    cdef object _options
    cdef type _head
    cdef list _names
    cdef object _limits
    cdef sd_limits _bounds

    cdef int take_limits(self, object limits) except -1
    cdef object make(self, const uint8_t *data, const sd_head *head)
    cdef object _name(self, const uint8_t *name, uint32_t size, uint32_t hash)


cdef class Placer:
    cdef sd_placer c
    cdef sd_network *_networks
    cdef sd_source *_chain
    cdef uint16_t *_slots
    cdef list _names
    cdef Py_buffer _learned
    cdef bint _has_learned

    cdef int set_keys(self, tuple hash_key, tuple tag_key) except -1
    cdef bint read_peer(self, object peer, sd_address *address) except -1


cpdef bytes without_cookie(bytes value, bytes name)
