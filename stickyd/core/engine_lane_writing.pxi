# What is written goes out: a part of _engine.pyx.


cdef int lane_put(Lane lane, bytes data) except -1:
    """Write what is not empty, on a lane that no channel has replaced."""
    if lane.awaited:
        lane_answer_begins(lane)
    if lane.parts is None:
        lane.parts = [data]
    else:
        lane.parts.append(data)
    lane.parts_size += PyBytes_GET_SIZE(data)
    if not lane.advancing and not lane.interest & EPOLLOUT:
        # It goes out when the poller finds the socket writable, unless the answer ends first.
        lane_watch(lane, lane.interest | EPOLLOUT)
        if lane.deadline_at < 0:
            lane.deadline_at = <double>lane.engine.seconds() + lane.engine.send_timeout
    return 0


cdef int lane_flush(Lane lane) except -1:
    """Send what is written. If the kernel does not take all of it, the channel goes on."""
    cdef ssize_t sent
    cdef int error = 0
    cdef size_t size = lane.parts_size
    if lane.parts is None:
        return 0
    lane.engine.instant()
    sent = lane_send_parts(lane, lane.parts)
    if sent < 0:
        error = errno
        sent = 0
    lane.engine.instant()
    lane.sent += sent
    if <size_t>sent == size:
        lane.parts = None
        lane.parts_size = 0
        if lane.interest & EPOLLOUT:
            lane_watch(lane, lane.interest & ~<uint32_t>EPOLLOUT)
        return 0
    lane.parts = lane.engine.parts.rest_of(lane.parts, sent)
    lane.parts_size -= sent
    if error and error != EAGAIN:
        failed = OSError(error, "send")
        lane.engine.parts.failed(failed)
        lane.give_up()
        lane.context.reactor.callLater(0, lane.channel.transport.end, lane.engine.lost_error)
        return 0
    lane.give_up()
    lane.channel.transport.left_over()
    return 0


cdef ssize_t lane_send_parts(Lane lane, list parts):
    """As send(2), of all parts; of very many, or very much, only some."""
    cdef iovec vectors[PARTS_MOST]
    cdef uint8_t small[SMALL]
    cdef Py_ssize_t count = len(parts), at
    cdef size_t size = 0, room = SEND_MOST
    if count == 1 and lane.parts_size <= SEND_MOST:
        part = parts[0]
        return sd_send(
            lane.fd, PyBytes_AS_STRING(part), PyBytes_GET_SIZE(part), lane.ending_now
        )
    if lane.parts_size <= SMALL:
        for part in parts:
            memcpy(small + size, PyBytes_AS_STRING(part), PyBytes_GET_SIZE(part))
            size += PyBytes_GET_SIZE(part)
        return sd_send(lane.fd, small, size, False)
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
    return sd_send_parts(lane.fd, vectors, count)
