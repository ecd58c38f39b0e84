# One connection of the engine: a part of _engine.pyx.


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
    cdef double deadline_at, head_until
    cdef size_t parts_size, scanned
    cdef int fd
    cdef uint32_t interest, entry
    cdef State at
    cdef bint came_with, ending, advancing, guarded, settled

    def __cinit__(self):
        self.fd = -1
        self.deadline_at = self.head_until = NEVER

    # ---- the connection table

    cdef int sign(self, bint carries) except -1:
        """The connection is ours: note it in the table or, if it is not guarded, in the stats."""
        cdef Engine engine = self.engine
        cdef sd_frame_head *frame = &self.frame_head
        self.settled = not carries
        if engine.words == NULL or not frame.entry:
            engine.stats.came()
            return 0
        self.guarded = True
        # Otherwise one that nobody reads: the master's program may have been replaced.
        if frame.entry < engine.entries and engine.ids[frame.entry] == frame.connection:
            self.entry = frame.entry
        self.taken = sd_load(&engine.words[self.entry]) >> TAKEN_BITS
        # In one store: at no instant is it ours and its state not known.
        if carries:
            self.occupy()
        else:
            self.settle()
        return 0

    cdef int note(self, uint64_t word) except -1:
        if self.guarded and self.engine.words != NULL:
            self.engine.instant()
            sd_store(&self.engine.words[self.entry], word | self.engine.owner)
            self.engine.instant()
        return 0

    cdef int settle(self) except -1:
        """What was read is answered, and all answers are in the kernel."""
        self.settled = True
        return self.note((self.taken & TAKEN_MASK) << TAKEN_BITS | STATE_IDLE)

    cdef int occupy(self) except -1:
        """It idles no longer."""
        return self.note(STATE_BUSY)

    cdef int departs(self) except -1:
        """It is about to be put into an inbox: from then on the receiver writes."""
        return self.note((self.taken & TAKEN_MASK) << TAKEN_BITS | STATE_FLYING)

    cdef int stays(self) except -1:
        """It has not been put into an inbox."""
        return self.settle() if self.settled else self.occupy()

    cdef int ended(self) except -1:
        """The connection is closed; nothing is noted after this."""
        if not self.guarded:
            self.engine.stats.ended()
        elif self.engine.ended != NULL:
            self.engine.instant()
            self.engine.ended[self.entry] = 1
            self.engine.instant()
        return 0

    # ---- events

    cdef int watch(self, uint32_t interest) except -1:
        cdef int error
        if interest == self.interest:
            return 0
        error = sd_watch(self.engine.epfd, self.fd, self.interest, interest)
        if error:
            failed = OSError(error, "epoll_ctl")
            self.engine.parts.not_in_epoll(failed)
            raise failed
        self.interest = interest
        return 0

    cdef int ready(self, uint32_t events) except -1:
        if events & EPOLLIN:
            self.read()
        elif not events & EPOLLOUT:
            self.give_up()
            self.channel.transport.end(self.engine.lost_error)
        if events & EPOLLOUT and self.at != OVER and self.channel is None:
            if self.interest & EPOLLOUT:
                self.flush()
                self.after_flush()
        return 0

    cdef int after_flush(self) except -1:
        """Nothing else happens: wait for what comes next."""
        if self.channel is not None:
            self.engine.parts.wait(self.channel)
        elif self.at != OVER:
            self.arm()
        return 0

    cdef int begin(self, const uint8_t *data, size_t size) except -1:
        """Take up where the sender left off."""
        if self.frame_head.head_left:
            self.head_until = <double>self.engine.seconds() + self.frame_head.head_left / 1000.0
        if size:
            self.serve(data, size, None)
        else:
            self.read()
        if self.channel is not None:
            self.channel.begun()
        elif self.at != OVER:
            if self.at == HEAD and self.deadline_at < 0:
                self.arm()
            self.watch(self.interest | EPOLLIN)
        return 0

    cdef int read(self) except -1:
        cdef Engine engine = self.engine
        cdef ssize_t size
        cdef int error
        if self.guarded:
            self.occupy()
        engine.instant()
        size = sd_receive(self.fd, engine.scratch, READ_MOST)
        error = errno
        engine.instant()
        if size < 0:
            if error == EAGAIN:
                if self.settled:
                    self.settle()
                return 0
            engine.parts.failed(OSError(error, "recv"))
            self.give_up()
            self.channel.transport.end(engine.lost_error)
            return 0
        if size == 0:
            if self.settled:
                self.settle()
            return self.client_done()
        self.taken += size
        self.settled = False
        if self.at == HEAD and not self.advancing:
            if self.buffer is None:
                return self.serve(engine.scratch, size, None)
            data = self.buffer + PyBytes_FromStringAndSize(<char *>engine.scratch, size)
            self.buffer = None
            return self.serve_bytes(data)
        data = PyBytes_FromStringAndSize(<char *>engine.scratch, size)
        if self.buffer is not None:
            data = self.buffer + data
        self.buffer = data
        if PyBytes_GET_SIZE(data) >= READ_AHEAD:
            self.give_up()
            self.channel.transport.stopReading()
        return 0

    cdef int client_done(self) except -1:
        """The client has finished sending."""
        if (
            self.at == HEAD and self.buffer is None and self.parts is None
            and not self.advancing and not self.ending and sd_queued(self.fd) == 0
        ):
            return self.close_now()
        self.give_up()
        self.channel.transport.stopReading()
        self.channel.clientDone()
        return 0

    cdef int close_now(self) except -1:
        """End: nothing is on its way in either direction."""
        cdef int descriptor = self.fd
        self.watch(0)
        self.over()
        if self.guarded:
            # The master's copy would keep it open.
            shutdown(descriptor, SHUT_RDWR)
        close(descriptor)
        self.ended()
        self.engine.drop(self, True)
        self.fd = -1
        return 0

    cdef void over(self):
        self.at = OVER
        self.deadline_at = NEVER
        self.buffer = None

    # ---- the seam between two requests

    cdef int serve_bytes(self, bytes data) except -1:
        return self.serve(
            <const uint8_t *>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), data
        )

    cdef int keep(self, const uint8_t *data, size_t size, bytes whole) except -1:
        """Remember what is not served yet."""
        if whole is None or <size_t>PyBytes_GET_SIZE(whole) != size:
            whole = PyBytes_FromStringAndSize(<const char *>data, size)
        self.buffer = whole if size else None
        return 0

    cdef int serve(self, const uint8_t *data, size_t size, bytes whole) except -1:
        """Serve what has arrived whole; then wait for more, move, or end.

        :param data: in front of everything else; `buffer` is empty. Valid until an app is called.
        :param whole: the object that ``data`` is in; None if it is the engine's.
        """
        cdef int step
        self.advancing = True
        try:
            while True:
                step = self.step(data, size, whole)
                if step == 0 or self.channel is not None or self.at != HEAD:
                    break
                if self.ending:
                    self.end_after_answer()
                    break
                whole = self.buffer
                if whole is None:
                    break
                self.buffer = None
                data = <const uint8_t *>PyBytes_AS_STRING(whole)
                size = PyBytes_GET_SIZE(whole)
        finally:
            self.advancing = False
        if self.channel is not None:
            self.engine.parts.advance(self.channel)
        elif self.at != OVER:
            self.flush()
            self.after_flush()
        return 0

    cdef int python(self, const uint8_t *data, size_t size, bytes whole) except -1:
        """The Python channel takes this step."""
        self.keep(data, size, whole)
        self.give_up()
        return 0

    cdef int step(self, const uint8_t *data, size_t size, bytes whole) except -1:
        """Take one step; whether another may follow at once."""
        cdef Engine engine = self.engine
        cdef sd_head found
        cdef sd_head *head = &found
        cdef sd_verdict verdict
        cdef sd_placement placement
        cdef sd_address peer
        cdef uint32_t named = 0
        cdef size_t end
        cdef bytes body = None
        if not engine.enabled:
            return self.python(data, size, whole)
        verdict = sd_read_head(data, size, self.scanned, &engine.reader._bounds, head)
        if verdict == SD_INCOMPLETE:
            self.scanned = size
            return self.keep(data, size, whole)
        end = head.size + <size_t>head.length if verdict == SD_HEAD else 0
        if (
            verdict == SD_UNUSUAL
            or end > size
            or (engine.body_most and head.length > engine.body_most)
            or (head.flags & SD_HAS_UPGRADE and head.flags & SD_SAYS_UPGRADE)
        ):
            return self.python(data, size, whole)
        policy = engine.routing.policy
        if policy is not engine.policy:
            engine.take_policy(policy)
        made = None
        placed = None
        if engine.access is not None or (not self.came_with and engine.placer is None):
            made = engine.reader.make(data, head)
            placed = policy.place(made, self.peer_text())
            named = placed.slot or 0
        elif not self.came_with:
            self.peer_address(&peer)
            sd_place(&engine.placer.c, head, data, &peer, &placement)
            if placement.where == SD_ASK_POLICY:
                made = engine.reader.make(data, head)
                named = policy.place(made, self.peer_text()).slot or 0
            elif placement.where == SD_PLACED:
                named = placement.slot
        if not self.came_with:
            if named and named != engine.slot:
                if engine.moves or self.frame_head.table != engine.version:
                    return self.move(named, data, size, whole)
                if not engine.counters.misrouted:
                    # The first is told to the master.
                    return self.python(data, size, whole)
                engine.counters.misrouted += 1
            else:
                # Placed among the slots of now: it stays put again.
                self.frame_head.table = engine.version
        if made is None:
            made = engine.reader.make(data, head)
        if head.length:
            body = PyBytes_FromStringAndSize(<const char *>data + head.size, head.length)
        if end < size:
            self.buffer = PyBytes_FromStringAndSize(<const char *>data + end, size - end)
        # From here on ``data`` is not to be read: an app is called.
        if engine.access is not None:
            self.logged = engine.parts.logged(
                engine.access, self.as_frame(), made, policy, placed, engine.slot, self.written()
            )
        return self.deliver(made, body)

    cdef int move(self, uint32_t slot, const uint8_t *data, size_t size, bytes whole) except -1:
        """Give the connection to another slot, with what has not been served yet."""
        cdef Engine engine = self.engine
        cdef int descriptor
        if self.parts is not None:
            if whole is None:
                whole = PyBytes_FromStringAndSize(<const char *>data, size)
                data = <const uint8_t *>PyBytes_AS_STRING(whole)
            self.flush()
            if self.channel is not None:
                self.channel.buffer = whole
                return 0
        if not send_frame(engine, self, slot, data, size):
            return self.python(data, size, whole)
        # From here on it is the receiver's, who writes into the table.
        engine.moved[slot] += 1
        if not self.guarded:
            engine.stats.moved()
        descriptor = self.fd
        self.over()
        engine.drop(self, True)
        self.fd = -1
        close(descriptor)
        return 0

    # ---- a request

    cdef int deliver(self, made, bytes body) except -1:
        cdef Engine engine = self.engine
        self.scanned = 0
        self.came_with = False
        self.head_until = NEVER
        try:
            exchange = engine.app.exchange(self, made)
        except Exception:
            # A file for the body cannot be made, or a request factory of the app's has failed.
            engine.log.failure("a request could not be taken up")
            self.give_up().refuse(engine.parts.failed_refusal)
            return 0
        if self.channel is None:
            self.exchange = exchange
        if body is not None:
            try:
                exchange.bodyReceived(body)
            except OSError as error:
                engine.log.error("a request body cannot be stored: {why}", why=error)
                self.give_up().refuse(engine.parts.not_stored)
                return 0
        if self.channel is not None:
            engine.parts.deliver(self.channel, exchange)
            return 0
        self.at = ANSWER
        self.deadline_at = NEVER
        engine.accounting.request()
        try:
            exchange.requestReceived()
        except Exception:
            engine.log.failure("the app failed on a request")
            if self.channel is not None:
                engine.parts.app_failed(self.channel, exchange)
            elif self.exchange is exchange:
                self.give_up().refuse(engine.parts.failed_refusal)
            return 0
        return 1

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
        if last or self.engine.connections.closing:
            self.ending = True
        self.at = HEAD
        if self.advancing:
            return
        if self.ending:
            self.end_after_answer()
            return
        if self.buffer is not None:
            data, self.buffer = self.buffer, None
            self.serve_bytes(data)
            return
        self.flush()
        self.after_flush()

    cdef int end_after_answer(self) except -1:
        """The last answer is given: it has all the time that any answer has, then we part."""
        cdef Engine engine = self.engine
        cdef int descriptor
        if not self.advancing:
            # As in `serve`, should the channel take over.
            self.advancing = True
            try:
                self.flush()
            finally:
                self.advancing = False
            if self.channel is not None:
                self.engine.parts.advance(self.channel)
                return 0
        else:
            self.flush()
            if self.channel is not None:
                return 0
        self.watch(EPOLLIN)
        descriptor = self.fd
        entry = self.as_entry()
        self.over()
        engine.lanes[descriptor] = None
        self.fd = -1
        engine.parts.part(self.context, descriptor, [], entry)
        engine.drop(self, True)
        return 0

    # ---- writing

    def write(self, data):
        """Write; what is written while requests are served goes out behind them."""
        if self.channel is not None or self.at == OVER:
            self.transport_of().write(data)
            return
        if type(data) is not bytes:
            if data:
                raise TypeError(f"data must be bytes, not {type(data).__name__}")
            return
        if not PyBytes_GET_SIZE(data):
            return
        if self.parts is None:
            self.parts = [data]
        else:
            self.parts.append(data)
        self.parts_size += PyBytes_GET_SIZE(data)
        if not self.advancing and not self.interest & EPOLLOUT:
            # It goes out when the poller finds the socket writable, unless the answer ends first.
            self.watch(self.interest | EPOLLOUT)
            if self.deadline_at < 0:
                self.deadline_at = <double>self.engine.seconds() + self.engine.send_timeout

    def writeSequence(self, iovec):
        """Write several parts."""
        for part in iovec:
            # Joined, what may change under our hands is copied, and what is no bytes refused.
            self.write(part if type(part) is bytes else b"".join((part,)))

    def send(self, data):
        """Write, and send it now as far as the kernel takes it."""
        if self.channel is not None or self.at == OVER:
            self.transport_of().send(data)
            return
        if self.parts is None and type(data) is bytes and PyBytes_GET_SIZE(data):
            self.parts = [data]
            self.parts_size = PyBytes_GET_SIZE(data)
            self.flush()
            return
        self.write(data)

    cdef int flush(self) except -1:
        """Send what is written. If the kernel does not take all of it, the channel goes on."""
        cdef ssize_t sent
        cdef int error = 0
        cdef size_t size = self.parts_size
        if self.parts is None:
            return 0
        self.engine.instant()
        sent = self.send_parts(self.parts)
        if sent < 0:
            error = errno
            sent = 0
        self.engine.instant()
        self.sent += sent
        if <size_t>sent == size:
            self.parts = None
            self.parts_size = 0
            if self.interest & EPOLLOUT:
                self.watch(self.interest & ~<uint32_t>EPOLLOUT)
            return 0
        self.parts = self.engine.parts.rest_of(self.parts, sent)
        self.parts_size -= sent
        if error and error != EAGAIN:
            failed = OSError(error, "send")
            self.engine.parts.failed(failed)
            self.give_up()
            self.context.reactor.callLater(0, self.channel.transport.end, self.engine.lost_error)
            return 0
        self.give_up()
        self.channel.transport.left_over()
        return 0

    cdef ssize_t send_parts(self, list parts):
        """As send(2), of all parts; of very many, or very much, only some."""
        cdef iovec vectors[PARTS_MOST]
        cdef uint8_t small[SMALL]
        cdef Py_ssize_t count = len(parts), at
        cdef size_t size = 0, room = SEND_MOST
        if count == 1 and self.parts_size <= SEND_MOST:
            part = parts[0]
            return sd_send(self.fd, PyBytes_AS_STRING(part), PyBytes_GET_SIZE(part))
        if self.parts_size <= SMALL:
            for part in parts:
                memcpy(small + size, PyBytes_AS_STRING(part), PyBytes_GET_SIZE(part))
                size += PyBytes_GET_SIZE(part)
            return sd_send(self.fd, small, size)
        count = min(count, PARTS_MOST)
        for at in range(count):
            part = parts[at]
            size = min(room, <size_t>PyBytes_GET_SIZE(part))
            vectors[at].iov_base = PyBytes_AS_STRING(part)
            vectors[at].iov_len = size
            room -= size
            if not room:
                count = at + 1
                break
        return sd_send_parts(self.fd, vectors, count)

    # ---- deadlines

    cdef int arm(self) except -1:
        """Set the deadline that belongs to what the connection is waiting for."""
        cdef Engine engine = self.engine
        cdef double now
        if self.at == ANSWER:
            self.deadline_at = NEVER
            return 0
        now = engine.seconds()
        if self.buffer is None and not self.came_with:
            # Idle: nothing would be lost with us.
            if self.guarded:
                self.settle()
            self.deadline_at = now + engine.keep_alive
            return 0
        # The time for a head is absolute: more bytes do not extend it.
        if self.head_until < 0:
            self.head_until = now + engine.head_timeout
        self.deadline_at = self.head_until
        return 0

    @property
    def deadline(self):
        """For the sweeper, in the reactor's seconds."""
        if self.channel is not None:
            return self.channel.deadline
        return self.deadline_at if self.deadline_at >= 0 else None

    def expired(self):
        """For the sweeper: the deadline has passed."""
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
            self.as_frame(),
            self.fd,
            self.interest,
            self.buffer or b"",
            self.scanned,
            self.exchange,
            self.logged,
            self.parts or [],
            self.parts_size,
            self.sent,
            self.as_entry(),
            engine.states[self.at],
            self.came_with,
            self.ending,
            self.advancing,
            self.deadline_at if self.deadline_at >= 0 else None,
            self.head_until if self.head_until >= 0 else None,
        )
        channel = engine.parts.channel(self.context, engine.app, given)
        engine.lanes[self.fd] = None
        self.channel = channel
        engine.channels.discard(self)
        engine.timed.discard(self)
        self.over()
        self.fd = -1
        self.parts = None
        self.parts_size = 0
        self.exchange = self.logged = None
        return channel

    cdef object transport_of(self):
        """The transport of the channel in our place, or one whose connection is gone."""
        if self.channel is not None:
            if self.transport_after is None:
                self.transport_after = self.channel.transport
            return self.transport_after
        if self.at == OVER:
            if self.transport_after is None:
                self.transport_after = self.engine.parts.ended_transport(
                    self.context, self.as_frame()
                )
            return self.transport_after
        return self.give_up().transport

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        transport = self.transport_of()
        try:
            return getattr(transport, name)
        except AttributeError:
            if self.channel is None:
                raise
            return getattr(self.channel, name)

    cdef object as_entry(self):
        if not self.guarded or self.engine.words == NULL:
            return None
        return self.engine.parts.entry(self.entry, self.taken, self.settled)

    # ---- what exchanges and requests ask

    @property
    def transport(self):
        """The connection, as apps write to it."""
        return self

    @property
    def state(self):
        """What the connection is waiting for."""
        if self.channel is not None:
            return self.channel.state
        return self.engine.states[self.at]

    @property
    def frame(self):
        """The frame that the connection came with."""
        return self.as_frame()

    @property
    def producer(self):
        """Who writes at the pace of the client."""
        return self.transport_of().producer if self.channel is not None else None

    @property
    def disconnecting(self):
        """Whether the app has asked for the end."""
        return self.transport_of().disconnecting if self.channel is not None else False

    @property
    def connected(self):
        """Whether the connection goes on."""
        return self.transport_of().connected if self.channel is not None else self.at != OVER

    def flushed(self):
        """Whether every byte written is in the kernel."""
        return self.transport_of().flushed() if self.channel is not None else self.parts is None

    def written(self):
        """Bytes written since the connection came, sent or not."""
        if self.channel is not None:
            return self.transport_of().written()
        return self.sent + self.parts_size

    def bytesSent(self, flushed):
        """What is written has been given to the kernel, as far as it takes it."""
        if self.channel is not None:
            self.channel.bytesSent(flushed)

    def getPeer(self):
        """The peer's address."""
        return self.engine.parts.as_twisted(self.as_frame().peer)

    def getHost(self):
        """Our address."""
        return self.engine.parts.as_twisted(self.as_frame().local)

    def fileno(self):
        """The descriptor; -1 once it is gone."""
        return self.transport_of().fileno() if self.channel is not None else self.fd

    def logPrefix(self):
        """For the log."""
        return "client"

    def abortConnection(self):
        """End at once; the client sees a reset."""
        self.transport_of().abortConnection()

    # ---- addresses

    cdef void peer_address(self, sd_address *peer):
        cdef sd_frame_head *frame = &self.frame_head
        if frame.family == SD_FAMILY_NONE:
            peer.size = 0
        else:
            sd_address_of(peer, frame.addresses, 4 if frame.family == SD_FAMILY_V4 else 16)

    cdef object peer_text(self):
        peer = self.as_frame().peer
        return None if peer is None else peer[0]

    cdef object as_frame(self):
        cdef sd_frame_head *frame = &self.frame_head
        cdef uint8_t data[SD_FRAME_HEAD_MOST]
        cdef object made
        if self._frame is not None:
            if (<object>self._frame).table != frame.table:
                self._frame = self._frame._replace(table=frame.table)
            return self._frame
        if frame.family == SD_FAMILY_V4:
            # As `tuple.__new__` makes one of a subclass, without a tuple in between.
            made = (<TupleType *>self.engine.frame_type).tp_alloc(
                <TupleType *>self.engine.frame_type, 10
            )
            put(made, 0, self.engine.kinds[frame.kind])
            put(made, 1, frame.connection)
            put(made, 2, end_of(frame.addresses))
            put(made, 3, end_of(frame.addresses + 6))
            put(made, 4, frame.listener)
            put(made, 5, frame.head_left)
            put(made, 6, frame.table)
            put(made, 7, frame.hops)
            put(made, 8, b"")
            put(made, 9, frame.entry)
        else:
            made = self.engine.parts.decode(
                PyBytes_FromStringAndSize(<char *>data, sd_write_frame(data, frame))
            )
        self._frame = made
        return made


cdef inline void put(object target, Py_ssize_t at, object value):
    Py_INCREF(value)
    PyTuple_SET_ITEM(target, at, value)


cdef object end_of(const uint8_t *packed):
    """Host and port of one end of a connection over IPv4."""
    cdef sd_address address
    cdef char text[64]
    sd_address_of(&address, packed, 4)
    return PyUnicode_DecodeASCII(text, sd_address_text(&address, text), NULL), <int>(
        packed[4] << 8 | packed[5]
    )
