# cython: language_level=3, boundscheck=True
"""The compiled engine of a worker: connections between requests, and plain requests, without Python.

It shares the epoll of a `stickyd.net.epoll.Poller`. A connection is either a `Lane` here or a
`stickyd.worker.connection.channel.Channel`; `Lane.give_up` makes the one from the other, at any
point. What a lane does is what the channel would do, which stays the specification.

Imports nothing of the package's Python: what it makes and whom it asks, it is told (`Parts`).
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_SET_ITEM
from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.errno cimport errno
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.time cimport time, time_t
from libc.string cimport memcmp, memcpy

from types import MethodType

from stickyd.core._native cimport HeadReader, Placer, without_cookie
from stickyd.core.engine_c cimport *
from stickyd.core.headers cimport *

cdef extern from *:
    """
    #ifndef STICKYD_SOURCES
    #error "build with setup.py, which defines STICKYD_SOURCES"
    #endif
    """
    const char *STICKYD_SOURCES

BUILT_FROM = STICKYD_SOURCES.decode("ascii")
"""The digest of the sources that this module was built from; see `stickyd.core.sources`."""

include "engine_defs.pxi"
include "engine_counts.pxi"
include "engine_ids.pxi"
include "engine_lane.pxi"
include "engine_web.pxi"
include "engine_inbox.pxi"


cdef class Engine:
    """The lanes of one worker, on the epoll of its poller.

    Belongs to the thread that makes it.

    :param parts: what it is told once; see `stickyd.worker.lanes.Parts`.
    :ivar enabled: False once the worker ends: then every connection goes Python's way.
    """

    cdef object context, app, connections, routing, accounting
    cdef public bint enabled
    cdef object poller, members, own, log, seconds, parts, lost_error, probe
    cdef set channels, timed
    cdef object sweeper, states, policy, load
    cdef HeadReader reader
    cdef Placer placer
    cdef ChainIds chain_ids
    cdef WebSite web
    cdef AsgiSite asgi
    cdef uint32_t version, slot, entries
    cdef bint moves, identifies, by_python
    cdef object senders, counters, stats, access
    cdef Counts counts
    cdef Times times
    cdef type frame_type
    cdef tuple kinds
    cdef double keep_alive, head_timeout, send_timeout
    cdef int64_t body_most
    cdef int epfd, descriptors_most
    cdef unsigned long thread
    # By descriptor.
    cdef list lanes
    # The connection table.
    cdef Py_buffer words_view, ids_view, ended_view
    cdef uint64_t *words
    cdef uint64_t *ids
    cdef uint8_t *ended
    cdef uint64_t owner
    # For one call each; nothing points into them across a call to an app.
    cdef epoll_event *events
    cdef uint8_t *scratch
    cdef uint8_t *message

    def __cinit__(self, parts):
        self.words = self.ids = NULL
        self.ended = NULL
        self.epfd = -1
        self.events = <epoll_event *>PyMem_Calloc(BATCH_MOST, sizeof(epoll_event))
        self.scratch = <uint8_t *>PyMem_Calloc(1, READ_MOST)
        self.message = <uint8_t *>PyMem_Calloc(1, MESSAGE_MOST)
        if self.events == NULL or self.scratch == NULL or self.message == NULL:
            raise MemoryError

    def __init__(self, parts):
        context = parts.context
        config = context.config
        self.parts = parts
        self.context = context
        self.app = parts.app
        self.web = parts.exchanges if type(parts.exchanges) is WebSite else None
        self.asgi = parts.exchanges if type(parts.exchanges) is AsgiSite else None
        self.poller = context.poller
        self.members = context.poller.members
        self.own = context.poller.own
        self.log = parts.log
        self.seconds = context.reactor.seconds
        self.connections = context.connections
        self.channels = context.connections.members
        self.sweeper = context.connections.sweeper
        self.timed = self.sweeper.members
        self.states = parts.states
        self.reader = parts.reader
        self.reader.take_limits(config.limits)
        self.body_most = config.limits.body
        self.slot = config.slot
        self.moves = config.moves
        self.routing = context.routing
        self.senders = context.routing.senders.by_slot
        self.accounting = context.accounting
        self.counters = context.accounting.counters
        self.counts = Counts(self.accounting, parts.cells_at)
        self.times = Times(self.counters) if self.accounting.timed else None
        self.stats = context.accounting.stats
        self.access, self.identifies = context.access, bool(config.request_id)
        self.frame_type = parts.frame
        given = parts.chain_ids
        self.chain_ids = ChainIds(*given) if given is not None else None
        self.load = context.routing.load if context.routing.load.counted else None
        self.by_python = parts.by_python
        self.kinds = parts.kinds
        self.keep_alive = config.timeouts.keep_alive
        self.head_timeout = config.timeouts.head
        self.send_timeout = config.timeouts.send
        self.descriptors_most = parts.descriptors_most
        self.epfd = context.poller.fileno()
        self.thread = PyThread_get_thread_ident()
        self.lanes = [None] * 64
        self.enabled = True
        self.probe = parts.probe
        self.lost_error = parts.connection_lost
        if parts.table is not None:
            words, ids, ended, owner = parts.table.cells()
            self.take_connection_table(words, ids, ended, owner)

    cdef int take_connection_table(self, words, ids, ended, owner) except -1:
        PyObject_GetBuffer(words, &self.words_view, PyBUF_SIMPLE | PyBUF_WRITABLE)
        PyObject_GetBuffer(ids, &self.ids_view, PyBUF_SIMPLE)
        PyObject_GetBuffer(ended, &self.ended_view, PyBUF_SIMPLE | PyBUF_WRITABLE)
        self.entries = <uint32_t>(self.ended_view.len)
        if self.words_view.len != 8 * self.entries or self.ids_view.len != 8 * self.entries:
            raise ValueError("a connection table of another layout")
        self.words = <uint64_t *>self.words_view.buf
        self.ids = <uint64_t *>self.ids_view.buf
        self.ended = <uint8_t *>self.ended_view.buf
        self.owner = <uint64_t>owner << 2
        return 0

    def close(self):
        """Release the shared memory; the connection table is not written any more."""
        self.enabled = False
        self.epfd = -1
        self.counts.close()
        self.times = None
        if self.words != NULL:
            self.words = self.ids = NULL
            self.ended = NULL
            PyBuffer_Release(&self.words_view)
            PyBuffer_Release(&self.ids_view)
            PyBuffer_Release(&self.ended_view)

    def __dealloc__(self):
        if self.words != NULL:
            PyBuffer_Release(&self.words_view)
            PyBuffer_Release(&self.ids_view)
            PyBuffer_Release(&self.ended_view)
        PyMem_Free(self.events)
        PyMem_Free(self.scratch)
        PyMem_Free(self.message)

    cdef inline int instant(self) except -1:
        """For tests: an instant at which the process may be killed."""
        if self.probe is not None:
            self.probe.tick()
        return 0

    # ---- events

    def turn(self):
        """For the poller: tell a batch of lanes and members."""
        cdef int count, at, descriptor, error, most
        cdef uint32_t events
        cdef object member
        assert self.thread == PyThread_get_thread_ident(), "an engine belongs to one thread"
        most = max(1, min(<int>self.poller._batch, BATCH_MOST))
        for _ in range(ROUNDS):
            if self.epfd < 0:
                return
            count = epoll_wait(self.epfd, self.events, most, 0)
            if count < 0:
                error = errno
                if error == EINTR:
                    continue
                self.own.check()
                raise OSError(error, "epoll_wait")
            if count == 0:
                return
            for at in range(count):
                descriptor = self.events[at].data.fd
                events = self.events[at].events
                member = self.lanes[descriptor] if 0 <= descriptor < len(self.lanes) else None
                if member is None:
                    member = self.members.get(descriptor)
                    if member is None:
                        continue
                try:
                    if type(member) is Lane:
                        lane_ready(<Lane>member, events)
                    else:
                        member.ready(events)
                except Exception:
                    self.own.check()
                    # One connection's fault must not cost the others their events.
                    self.log.failure("a connection failed")
                    member.abortConnection()

    def inbox(self, receiver, adopt, lost):
        """A reader of an inbox whose plain connections become lanes; see `LaneInbox`."""
        return LaneInbox(self, receiver, adopt, lost)

    # ---- connections come

    cdef bint suits(self, int descriptor):
        """Whether a connection that has come with this descriptor may be a lane."""
        return self.enabled and 3 <= descriptor < self.descriptors_most

    cdef bint adopt(self, size_t size, int descriptor) except -1:
        """Take up a connection whose message is in `message`; False if it is for Python."""
        cdef sd_frame_head frame
        cdef size_t begin
        cdef Lane lane
        if not self.suits(descriptor):
            return False
        begin = sd_read_frame(self.message, size, &frame)
        if begin == 0:
            return False
        lane = Lane.__new__(Lane)
        lane.engine = self
        lane.context = self.context
        lane.fd = descriptor
        lane.frame_head = frame
        lane.came_with = frame.kind != SD_RETURNED_KIND
        lane_sign(lane, size > begin)
        if frame.kind == SD_PLACED_KIND:
            # Holds for every process it moves to: the open file remembers it (fcntl(2)).
            sd_make_nonblocking(descriptor)
        self.counts.add(self.counts.adopted)
        if frame.kind == SD_MOVED_KIND:
            self.counts.add(self.counts.arrived)
        self.put(lane)
        try:
            lane_begin(lane, self.message + begin, size - begin)
        except Exception:
            # One connection's fault must not cost the others their inbox.
            self.log.failure("a connection failed at its adoption")
            lane.abortConnection()
        return True

    cdef int put(self, Lane lane) except -1:
        cdef int descriptor = lane.fd
        while descriptor >= len(self.lanes):
            self.lanes.extend([None] * len(self.lanes))
        self.lanes[descriptor] = lane
        self.channels.add(lane)
        if self.timed:
            self.timed.add(lane)
        else:
            self.sweeper.add(lane)
        return 0

    cdef int drop(self, Lane lane, bint told) except -1:
        """The lane has the descriptor no more.

        :param told: the worker is, too: it may be waiting for the last.
        """
        if 0 <= lane.fd < len(self.lanes) and self.lanes[lane.fd] is lane:
            self.lanes[lane.fd] = None
        if told and not self.enabled:
            self.connections.discard(lane)
        else:
            self.channels.discard(lane)
            self.timed.discard(lane)
        return 0
