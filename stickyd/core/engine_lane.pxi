# One connection of the engine: a part of _engine.pyx. What it does is in the files at the end.


@cython.freelist(64)
cdef class Lane:
    """What exchanges ask of a channel and of its transport, for as long as nothing unusual happens.

    Whatever else is asked, or happens, makes the Python channel of it (`give_up`), which answers
    from then on; exchanges and requests may keep the lane, which passes on to the channel.
    """

    cdef object __weakref__
    cdef dict __dict__
    cdef Engine engine
    cdef readonly object context
    cdef sd_frame_head frame_head
    cdef object _frame
    cdef bytes buffer  # read and not served; None for nothing
    cdef object exchange, logged
    cdef list parts  # written and not sent; None for nothing
    cdef object channel, transport_after
    cdef uint64_t taken, sent
    cdef double deadline_at, head_until, began
    cdef size_t parts_size, scanned
    cdef readonly int fd
    cdef uint32_t interest, entry
    cdef State at
    cdef bint came_with, ending, advancing, guarded, settled, parting, ending_now, awaited
    cdef double part_until
    cdef uint8_t source

    def __cinit__(self):
        self.fd = -1
        self.deadline_at = self.head_until = NEVER

    # ---- a request

    def answered(self, exchange, last):
        """The answer is written whole; ``last`` if no further one can follow."""
        if self.channel is not None:
            self.channel.answered(exchange, last)
            return
        if exchange is not self.exchange or exchange is None:
            return
        self.exchange = None
        if self.logged is not None:
            logged, self.logged = self.logged, None
            logged.answered(exchange.status, self.written())
        if self.engine.load is not None:
            self.engine.load.ended()
        if self.began:
            lane_answer_ends(self)
        if last or self.engine.connections.closing:
            self.ending = True
        self.at = HEAD
        if self.advancing:
            return
        if self.ending:
            lane_end_after_answer(self)
            return
        if self.buffer is not None:
            data, self.buffer = self.buffer, None
            lane_serve_bytes(self, data)
            return
        lane_flush(self)
        lane_after_flush(self)

    # ---- writing

    def write(self, data):
        """Write; what is written while requests are served goes out behind them."""
        if self.channel is not None or self.at == OVER:
            lane_transport_of(self).write(data)
            return
        if type(data) is not bytes:
            if data:
                raise TypeError(f"data must be bytes, not {type(data).__name__}")
            return
        if PyBytes_GET_SIZE(data):
            lane_put(self, data)

    def writeSequence(self, iovec):
        """Write several parts."""
        for part in iovec:
            # Joined, what may change under our hands is copied, and what is no bytes refused.
            self.write(part if type(part) is bytes else b"".join((part,)))

    def send(self, data):
        """Write, and send it now as far as the kernel takes it."""
        if self.channel is not None or self.at == OVER:
            lane_transport_of(self).send(data)
            return
        if self.parts is None and type(data) is bytes and PyBytes_GET_SIZE(data):
            if self.awaited:
                lane_answer_begins(self)
            self.parts = [data]
            self.parts_size = PyBytes_GET_SIZE(data)
            lane_flush(self)
            return
        self.write(data)

    # ---- deadlines

    @property
    def deadline(self):
        """For the sweeper, in the reactor's seconds."""
        if self.channel is not None:
            return self.channel.deadline
        # One that idles until a sweep is likely to idle for long: half of its memory is this.
        self._frame = None
        return self.deadline_at if self.deadline_at >= 0 else None

    def expired(self):
        """For the sweeper: the deadline has passed."""
        if self.parting:
            lane_part_expired(self)
        else:
            self.give_up().expired()

    def idle(self):
        """Whether it waits for a next request, of which nothing has come."""
        if self.channel is not None:
            return self.channel.idle()
        return (
            self.at == HEAD and self.buffer is None and self.parts is None and not self.came_with
        )

    # ---- the Python channel in our place

    cpdef object give_up(self):
        """The Python channel that goes on with the connection."""
        cdef Engine engine = self.engine
        if self.channel is not None:
            return self.channel
        assert self.at != OVER, "the connection has moved or ended"
        given = engine.parts.given(
            lane_as_frame(self),
            self.fd,
            self.interest,
            self.buffer or b"",
            self.scanned,
            self.exchange,
            self.logged,
            self.parts or [],
            self.parts_size,
            self.sent,
            lane_as_entry(self),
            engine.states[self.at],
            self.came_with,
            self.ending,
            self.advancing,
            self.deadline_at if self.deadline_at >= 0 else None,
            self.head_until if self.head_until >= 0 else None,
            self.source,
            self.began,
            self.awaited,
        )
        channel = engine.parts.channel(self.context, engine.app, given)
        engine.lanes[self.fd] = None
        self.channel = channel
        engine.channels.discard(self)
        engine.timed.discard(self)
        lane_over(self)
        self.fd = -1
        self.parts = None
        self.parts_size = 0
        self.exchange = self.logged = None
        self.began = 0
        return channel

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        transport = lane_transport_of(self)
        try:
            return getattr(transport, name)
        except AttributeError:
            if self.channel is None:
                raise
            return getattr(self.channel, name)

    # ---- what exchanges and requests ask

    @property
    def transport(self):
        """The connection, as apps write to it."""
        return self

    @property
    def handed(self):
        """For exchanges: a WebSocket that comes from another worker is never a lane."""
        return None

    @property
    def state(self):
        """What the connection is waiting for."""
        if self.channel is not None:
            return self.channel.state
        return self.engine.states[self.at]

    @property
    def frame(self):
        """The frame that the connection came with."""
        return lane_as_frame(self)

    @property
    def keys(self):
        """As `stickyd.worker.key_owner.KeyHolder` has them; noted only where the worker drains."""
        return () if self.channel is None and self.at == OVER else self.give_up().keys

    @keys.setter
    def keys(self, keys):
        if self.channel is not None or self.at != OVER:
            self.give_up().keys = keys

    @property
    def producer(self):
        """Who writes at the pace of the client."""
        return lane_transport_of(self).producer if self.channel is not None else None

    @property
    def disconnecting(self):
        """Whether the app has asked for the end."""
        return lane_transport_of(self).disconnecting if self.channel is not None else False

    @property
    def connected(self):
        """Whether the connection goes on."""
        return lane_transport_of(self).connected if self.channel is not None else self.at != OVER

    def flushed(self):
        """Whether every byte written is in the kernel."""
        return lane_transport_of(self).flushed() if self.channel is not None else self.parts is None

    def written(self):
        """Bytes written since the connection came, sent or not."""
        if self.channel is not None:
            return lane_transport_of(self).written()
        return self.sent + self.parts_size

    def bytesSent(self, flushed):
        """What is written has been given to the kernel, as far as it takes it."""
        if self.channel is not None:
            self.channel.bytesSent(flushed)
        elif self.at == ANSWER and self.parts is None:
            lane_arm(self)

    def getPeer(self):
        """The peer's address."""
        return self.engine.parts.as_twisted(lane_as_frame(self).peer)

    def getHost(self):
        """Our address."""
        return self.engine.parts.as_twisted(lane_as_frame(self).local)

    def fileno(self):
        """The descriptor; -1 once it is gone."""
        return self.fd if self.channel is None and self.at != OVER else lane_transport_of(self).fileno()

    def logPrefix(self):
        """For the log."""
        return "client"

    def abortConnection(self):
        """End at once; the client sees a reset."""
        lane_transport_of(self).abortConnection()


include "engine_times.pxi"
include "engine_lane_table.pxi"
include "engine_lane_events.pxi"
include "engine_lane_steps.pxi"
include "engine_lane_request.pxi"
include "engine_lane_writing.pxi"
include "engine_lane_frame.pxi"
include "engine_lane_parting.pxi"
