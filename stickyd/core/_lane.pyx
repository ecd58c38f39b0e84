# cython: language_level=3
"""The compiled lane of the master: from accept(2) to the inbox of a slot, for what is usual.

Calls nobody: what is not usual it gives to its caller, and then goes on when it is called again.
"""

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Malloc
from libc.errno cimport EAGAIN, errno
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memchr, memcpy, memset
from posix.unistd cimport close

from stickyd.core._native cimport Placer
from stickyd.core.headers cimport *
from stickyd.core.lane_c cimport *

cdef extern from *:
    """
    #ifndef STICKYD_SOURCES
    #error "build with setup.py, which defines STICKYD_SOURCES"
    #endif
    """
    const char *STICKYD_SOURCES

BUILT_FROM = STICKYD_SOURCES.decode("ascii")
"""The digest of the sources that this module was built from; see `stickyd.core.sources`."""

cdef enum:
    BATCH_MOST = 64  # accepted connections of one call

NOTHING_WAITS, MORE_MAY_WAIT, UNUSUAL, FAILED = range(4)
"""What ended a call of `MasterLane.accept`: the backlog is empty; as many as asked for have been
accepted; one that is the caller's to go on with; accept4(2) failed."""

cdef enum:
    C_NOTHING_WAITS
    C_MORE_MAY_WAIT
    C_UNUSUAL
    C_FAILED


cdef inline int instant(object probe) except -1:
    """For tests: an instant at which the process may be killed."""
    if probe is not None:
        probe.tick()
    return 0


include "lane_route.pxi"


cdef class MasterLane:
    """Takes connections off one listening socket and puts them into inboxes.

    :param index: of the listener.
    :param own: our end of every connection, address (4 or 16 bytes) and port; None where each
        has to be asked for its own.
    :param limits: bounds of a head.
    :param table: words and numbers of the connection table, and its list of unused entries; None
        if connections are not guarded.
    :param brim: descriptors from this one on are not guarded.
    :param probe: for tests: has ``tick()``, called around each system call that moves a connection,
        and each store that others see.

    What a call of `accept` has done is in these until the next call:

    :ivar accepted: how many have been placed.
    :ivar placed: slot, reason and count of those.
    :ivar copies: by entry: descriptor, and the message that puts the connection in again
        (`stickyd.shm.copies`).
    :ivar descriptor: of the unusual connection, which is the caller's; otherwise -1.
    :ivar peer: its host and port; None on a Unix socket.
    :ivar error: errno of accept4(2), or 0.
    """

    cdef readonly int accepted
    cdef readonly list placed
    cdef readonly dict copies
    cdef readonly int descriptor
    cdef readonly object peer
    cdef readonly int error
    cdef uint16_t _index
    cdef bint _has_own
    cdef sd_end _own
    cdef sd_limits _limits
    cdef uint8_t *_data
    cdef size_t _most
    cdef object _words_view
    cdef object _ids_view
    cdef list _unused
    cdef uint64_t *_words
    cdef uint64_t *_ids
    cdef Py_ssize_t _entries
    cdef int _brim
    cdef object _probe
    cdef uint64_t _held  # number that has been drawn, and not used; 0 for none
    # Of this call: slot, source + 1 (0 for none) and count of what has been placed.
    cdef uint16_t _hit_slots[BATCH_MOST]
    cdef uint16_t _hit_sources[BATCH_MOST]
    cdef int _hit_counts[BATCH_MOST]
    cdef int _hits

    def __cinit__(
        self,
        uint16_t index,
        tuple own,
        object limits,
        tuple table,
        int brim,
        object probe=None,
    ):
        self._index = index
        self._has_own = own is not None
        _take_end(&self._own, own)
        self._limits.request_line = min(limits.request_line, SD_SIZE_MOST)
        self._limits.fields = min(limits.fields, SD_SIZE_MOST)
        self._limits.field_size = min(limits.field_size, SD_SIZE_MOST)
        self._limits.head = min(limits.head, SD_SIZE_MOST)
        self._most = <size_t>self._limits.head + 1
        self._data = <uint8_t *>PyMem_Malloc(self._most)
        if self._data == NULL:
            raise MemoryError
        if table is not None:
            self._words_view, self._ids_view, self._unused = table
        self._brim = brim
        self._probe = probe
        self._clear()

    def __dealloc__(self):
        PyMem_Free(self._data)

    cdef void _clear(self):
        self.accepted = 0
        self.placed = []
        self.copies = {}
        self.descriptor = -1
        self.peer = None
        self.error = 0
        self._hits = 0

    def accept(self, int listening, Route route not None, int most, object numbers):
        """Accept and place up to ``most`` connections, 64 at most.

        :param listening: descriptor of the listening socket, non-blocking.
        :param numbers: draws the numbers of connections.
        :return: what ended the call, one of the constants of this module.
        """
        cdef Py_buffer words, ids
        cdef int verdict
        self._clear()
        if self._unused is None:
            verdict = self._run(listening, route, min(most, BATCH_MOST), numbers)
        else:
            # Held for the call alone: a table that has been closed is an error, no crash.
            PyObject_GetBuffer(self._words_view, &words, PyBUF_WRITABLE)
            try:
                PyObject_GetBuffer(self._ids_view, &ids, PyBUF_WRITABLE)
                try:
                    self._words = <uint64_t *>words.buf
                    self._ids = <uint64_t *>ids.buf
                    self._entries = min(words.len, ids.len) // <Py_ssize_t>sizeof(uint64_t)
                    verdict = self._run(listening, route, min(most, BATCH_MOST), numbers)
                finally:
                    self._words = self._ids = NULL
                    PyBuffer_Release(&ids)
            finally:
                PyBuffer_Release(&words)
        self._tell(route)
        return verdict

    cdef int _run(self, int listening, Route route, int most, object numbers) except -1:
        cdef sd_end peer
        cdef int descriptor, number
        for number in range(most):
            instant(self._probe)
            descriptor = sd_accept(listening, &peer)
            if descriptor < 0:
                if errno == EAGAIN:
                    return C_NOTHING_WAITS
                self.error = errno
                return C_FAILED
            # From here on it is either placed or the caller's, whatever is raised.
            self.descriptor = descriptor
            instant(self._probe)
            if not self._place(route, descriptor, &peer, numbers):
                self.peer = _host_and_port(&peer)
                return C_UNUSUAL
            self.descriptor = -1
            self.accepted += 1
            instant(self._probe)
        return C_MORE_MAY_WAIT

    cdef bint _place(self, Route route, int descriptor, sd_end *peer, object numbers) except -1:
        """Whether the connection has been put into an inbox."""
        cdef sd_head head
        cdef sd_placement placement
        cdef sd_end asked
        cdef sd_end *local = &self._own
        cdef sd_frame_head frame
        cdef uint8_t message[SD_FRAME_HEAD_MOST]
        cdef size_t size
        cdef Py_ssize_t got = sd_peek(descriptor, self._data, self._most)
        cdef uint32_t slot, entry = 0
        cdef uint64_t connection
        cdef int error
        if got <= 0:
            return False
        if sd_read_head(self._data, got, 0, &self._limits, &head) != SD_HEAD:
            return False
        sd_place(&route._placer.c, &head, self._data, &peer.address, &placement)
        if placement.where == SD_ASK_POLICY or placement.where == SD_BY_LOAD:
            return False
        if not self._has_own:
            asked.address.size = 0
            asked.port = 0
            if peer.address.size and sd_local_end(descriptor, &asked) < 0:
                return False
            local = &asked
        if self._unused is not None:
            if descriptor >= self._brim or not self._unused:
                return False
        if not self._held:
            self._held = next(numbers)
        connection = self._held
        slot = placement.slot
        if placement.where == SD_ANYWHERE:
            slot = route._slots[connection % <uint64_t>route._count]
        if slot > route._high or route._inboxes[slot] < 0 or route._outboxes[slot].waiting():
            return False
        if self._unused is not None:
            entry = self._unused[-1]
            if <Py_ssize_t>entry >= self._entries:
                return False
            sd_set_cell(&self._ids[entry], connection)
            instant(self._probe)
            sd_set_cell(&self._words[entry], SD_IN_TRANSIT)
            instant(self._probe)
        frame.kind = SD_PLACED_KIND
        frame.connection = connection
        frame.table = route._version
        frame.head_left = 0  # the clock has not started
        frame.entry = entry
        frame.put_at = sd_queue_clock()
        frame.hops = 0
        frame.source = sd_source_number(&placement)
        frame.listener = <uint8_t>self._index
        sd_set_ends(&frame, peer, local)
        size = sd_write_frame(message, &frame)
        error = sd_put(route._inboxes[slot], message, size, descriptor)
        instant(self._probe)
        if error:
            if entry:
                free_entry(self._ids, self._words, entry, self._probe)
            return False
        self._held = 0
        self._count(slot, placement.source + 1 if placement.where == SD_PLACED else 0)
        if entry:
            frame.kind, frame.put_at = SD_RETURNED_KIND, 0
            self._unused.pop()
            self.copies[entry] = copy_of(descriptor, &frame)
        else:
            close(descriptor)
        return True

    cdef void _count(self, uint32_t slot, uint32_t source):
        cdef int at
        for at in range(self._hits):
            if self._hit_slots[at] == slot and self._hit_sources[at] == source:
                self._hit_counts[at] += 1
                return
        self._hit_slots[self._hits] = slot
        self._hit_sources[self._hits] = source
        self._hit_counts[self._hits] = 1
        self._hits += 1

    cdef int _tell(self, Route route) except -1:
        cdef int at
        cdef object reason
        for at in range(self._hits):
            reason = "none"
            if self._hit_sources[at]:
                reason = route._reasons[self._hit_sources[at] - 1]
            self.placed.append((self._hit_slots[at], reason, self._hit_counts[at]))
        return 0


cdef object _host_and_port(const sd_end *end):
    cdef char text[SD_TEXT_MOST]
    cdef size_t size = sd_address_text(&end.address, text)
    if not size:
        return None
    return text[:size].decode("ascii"), end.port


include "lane_sweep.pxi"
include "lane_frame.pxi"
