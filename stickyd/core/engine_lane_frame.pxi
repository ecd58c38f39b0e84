# The addresses of a lane, and the frame that it came with: a part of _engine.pyx.


cdef object lane_transport_of(Lane lane):
    """The transport of the channel in our place, or one whose connection is gone."""
    if lane.channel is not None:
        if lane.transport_after is None:
            lane.transport_after = lane.channel.transport
        return lane.transport_after
    if lane.at == OVER:
        if lane.transport_after is None:
            lane.transport_after = lane.engine.parts.ended_transport(
                lane.context, lane_as_frame(lane)
            )
        return lane.transport_after
    return lane.give_up().transport


cdef inline bint lane_over_tls(Lane lane):
    return lane.frame_head.listener & TLS_LISTENER != 0


cdef object lane_as_entry(Lane lane):
    if not lane.guarded or lane.engine.words == NULL:
        return None
    return lane.engine.parts.entry(lane.entry, lane.taken, lane.settled)


cdef void lane_peer_address(Lane lane, sd_address *peer):
    cdef sd_frame_head *frame = &lane.frame_head
    if frame.family == SD_FAMILY_NONE:
        peer.size = 0
    else:
        sd_address_of(peer, frame.addresses, 4 if frame.family == SD_FAMILY_V4 else 16)


cdef object lane_peer_text(Lane lane):
    peer = lane_as_frame(lane).peer
    return None if peer is None else peer[0]


cdef object lane_as_frame(Lane lane):
    cdef sd_frame_head *frame = &lane.frame_head
    cdef uint8_t data[SD_FRAME_HEAD_MOST]
    cdef object made
    if lane._frame is not None:
        if (<object>lane._frame).table != frame.table:
            lane._frame = lane._frame._replace(table=frame.table)
        return lane._frame
    if frame.family == SD_FAMILY_V4:
        # As `tuple.__new__` makes one of a subclass, without a tuple in between.
        made = (<TupleType *>lane.engine.frame_type).tp_alloc(
            <TupleType *>lane.engine.frame_type, 13
        )
        put(made, 0, lane.engine.kinds[frame.kind])
        put(made, 1, frame.connection)
        put(made, 2, end_of(frame.addresses))
        put(made, 3, end_of(frame.addresses + 6))
        put(made, 4, frame.listener)
        put(made, 5, frame.head_left)
        put(made, 6, frame.table)
        put(made, 7, frame.hops)
        put(made, 8, b"")
        put(made, 9, frame.entry)
        put(made, 10, frame.source)
        put(made, 11, frame.put_at)
        # One with a record is left to Python.
        put(made, 12, b"")
    else:
        made = lane.engine.parts.decode(
            PyBytes_FromStringAndSize(<char *>data, sd_write_frame(data, frame))
        )
    lane._frame = made
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
