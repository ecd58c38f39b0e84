# The frame codec, as the lane and the engine use it, for comparison with `stickyd.ipc.frame`: a part
# of _lane.pyx.


cdef object _end_at(const uint8_t *packed, uint32_t size):
    cdef sd_end end
    sd_address_of(&end.address, packed, size)
    end.port = <uint16_t>sd_get_be(packed + size, 2)
    return _host_and_port(&end)


def read_frame(bytes message not None):
    """Kind, connection, peer, local end, listener, head_left, table, hops, unread bytes, entry,
    source, put_at and b"".

    :return: in the order of `stickyd.ipc.frame.Frame`; None if the message is no frame, or has a
        record.
    """
    cdef sd_frame_head frame
    cdef uint32_t size
    cdef size_t begin = sd_read_frame(
        <const uint8_t *>PyBytes_AS_STRING(message), PyBytes_GET_SIZE(message), &frame
    )
    if not begin:
        return None
    peer = local = None
    if frame.address_size:
        size = frame.address_size // 2 - 2
        peer, local = _end_at(frame.addresses, size), _end_at(frame.addresses + size + 2, size)
    return (
        frame.kind, frame.connection, peer, local, frame.listener, frame.head_left, frame.table,
        frame.hops, message[begin:], frame.entry, frame.source, frame.put_at,
        b"",
    )


cdef int _take_end(sd_end *end, tuple named) except -1:
    end.address.size = end.port = 0
    if named is not None:
        packed, end.port = named
        if type(packed) is not bytes or len(packed) not in (4, 16):
            raise ValueError("an address has 4 or 16 bytes")
        sd_address_of(&end.address, <const uint8_t *>PyBytes_AS_STRING(packed), len(packed))
    return 0


def write_frame(
    uint8_t kind, uint64_t connection, tuple peer, tuple local, uint8_t listener,
    uint32_t head_left, uint32_t table, uint16_t hops, uint32_t entry,
    uint8_t source, uint32_t put_at,
):
    """A frame without unread bytes.

    :param peer, local: address (4 or 16 bytes) and port; None on a Unix socket.
    """
    cdef sd_frame_head frame
    cdef sd_end ends[2]
    cdef uint8_t message[SD_FRAME_HEAD_MOST]
    _take_end(&ends[0], peer)
    _take_end(&ends[1], local)
    frame.kind, frame.connection, frame.listener, frame.head_left = (
        kind, connection, listener, head_left
    )
    frame.table, frame.hops, frame.entry, frame.source = table, hops, entry, source
    frame.put_at = put_at
    sd_set_ends(&frame, &ends[0], &ends[1])
    return PyBytes_FromStringAndSize(<char *>message, sd_write_frame(message, &frame))
