# Inboxes, as the engine reads and fills them: a part of _engine.pyx.


cdef class LaneInbox:
    """Takes connections out of an inbox as `stickyd.ipc.fd_queue.InboxReader` does.

    :param adopt: takes what cannot be a lane: message and descriptor.
    :param lost: told of a message whose descriptor the kernel could not install.
    """

    cdef Engine engine
    cdef readonly object _receiver
    cdef object _adopt, _lost
    cdef bint reading
    cdef public object on_end

    def __init__(self, Engine engine not None, receiver, adopt, lost):
        self.engine = engine
        self._receiver = receiver
        self._adopt = adopt
        self._lost = lost

    def start(self):
        """Begin, or go on, taking connections out."""
        if not self.reading:
            self.reading = True
            self.engine.poller.watch(self._receiver.fileno(), self, EPOLLIN)

    def stop(self):
        """Leave what comes in the inbox."""
        if self.reading:
            self.reading = False
            self.engine.poller.forget(self._receiver.fileno())

    def ready(self, events):
        """For the poller: take a batch out."""
        for _ in range(INBOX_BATCH):
            if not self.reading or not self.take():
                return

    def abortConnection(self):
        """For the poller: taking failed, and would fail again."""
        self.stop()

    def take(self):
        """Take one connection out; False if there is none."""
        cdef int descriptor, error
        cdef ssize_t size
        cdef Engine engine = self.engine
        engine.instant()
        size = sd_take(self._receiver.fileno(), engine.message, MESSAGE_MOST, &descriptor)
        error = errno
        if engine.probe is not None:
            engine.probe.took(descriptor)
        engine.instant()
        if size < 0:
            if sd_is_full(error):
                return False
            raise OSError(error, "recvmsg")
        if size == 0:
            # No process has a sending end any more.
            if descriptor >= 0:
                close(descriptor)
            self.stop()
            if self.on_end is not None:
                self.on_end()
            return False
        if descriptor < 0:
            self._lost(PyBytes_FromStringAndSize(<char *>engine.message, size))
        elif engine.load is None:
            self.adopt(size, descriptor)
        else:
            engine.load.took()
            try:
                self.adopt(size, descriptor)
            finally:
                engine.load.adopted()
        return True

    cdef int adopt(self, size_t size, int descriptor) except -1:
        """Take up a connection."""
        if not self.engine.adopt(size, descriptor):
            self._adopt(PyBytes_FromStringAndSize(<char *>self.engine.message, size), descriptor)
        return 0


cdef int send_frame(Engine engine, Lane lane, uint32_t slot, const uint8_t *data, size_t size) except -1:
    """Put a connection into the inbox of a slot; 0 if it could not be put in now."""
    cdef uint8_t head[SD_FRAME_HEAD_MOST]
    cdef sd_frame_head frame = lane.frame_head
    cdef int inbox, error
    sender = engine.senders.get(slot)
    inbox = -1 if sender is None else sender.free()
    if inbox < 0:
        return 0
    frame.kind = SD_MOVED_KIND
    frame.source = lane.source
    frame.table = engine.version
    frame.head_left = 0
    frame.put_at = sd_queue_clock()
    frame.hops += frame.hops < 0xFFFF
    if engine.load is not None:
        # Before sendmsg: the receiver counts it as taken at once.
        sender.counter.placed()
    # The copy in the inbox keeps the descriptor's registration alive (epoll(7), Q6).
    lane_watch(lane, 0)
    lane_departs(lane)
    engine.instant()
    error = sd_give(inbox, head, sd_write_frame(head, &frame), data, size, lane.fd)
    engine.instant()
    if error:
        lane_stays(lane)
        if engine.load is not None:
            sender.counter.withdrawn()
        return 0
    if engine.probe is not None:
        engine.probe.gave(slot)
    return 1
