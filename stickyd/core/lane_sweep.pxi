# A part of _lane.pyx.


cdef int free_entry(uint64_t *ids, uint64_t *words, uint32_t entry, object probe) except -1:
    """Free an entry that nobody else writes."""
    sd_set_cell(&words[entry], SD_FREE)
    instant(probe)
    sd_set_cell(&ids[entry], 0)
    instant(probe)
    return 0


cdef object copy_of(int descriptor, const sd_frame_head *frame):
    cdef uint8_t copy[COPY_MOST]
    memcpy(copy, &descriptor, sizeof(int))
    return PyBytes_FromStringAndSize(
        <char *>copy, sizeof(int) + sd_write_frame(copy + sizeof(int), frame)
    )


cdef int copied_descriptor(bytes copy) except -1:
    cdef int descriptor
    if copy is None or PyBytes_GET_SIZE(copy) < <Py_ssize_t>sizeof(int):
        raise ValueError("not a copy")
    memcpy(&descriptor, PyBytes_AS_STRING(copy), sizeof(int))
    return descriptor


def drop_ended(
    object words not None, object ids not None, list unused not None, object ended not None,
    dict copies not None, object probe=None,
):
    """Close the copies of connections that have ended, and free their entries.

    :param words, ids, unused: of the connection table.
    :param ended: its marks, of the entries that have been in use.
    :param copies: by entry (`stickyd.shm.copies`).
    :param probe: for tests, as that of `MasterLane`.
    :return: how many copies have been closed.
    """
    cdef Py_buffer views[3]
    cdef int held = 0
    cdef Py_ssize_t at, entries
    cdef uint8_t *marks
    cdef uint8_t *found
    cdef object copy
    cdef int closed = 0
    try:
        for view in (words, ids, ended):
            PyObject_GetBuffer(view, &views[held], PyBUF_WRITABLE)
            held += 1
        marks = <uint8_t *>views[2].buf
        entries = min(views[2].len, min(views[0].len, views[1].len) // 8)
        at = 1
        while at < entries:
            found = <uint8_t *>memchr(marks + at, 1, entries - at)
            if found == NULL:
                break
            at = found - marks
            copy = copies.pop(at, None)
            if copy is not None:
                instant(probe)
                close(copied_descriptor(copy))
                closed += 1
            instant(probe)
            free_entry(<uint64_t *>views[1].buf, <uint64_t *>views[0].buf, at, probe)
            marks[at] = 0
            instant(probe)
            unused.append(at)
            at += 1
    finally:
        while held:
            held -= 1
            PyBuffer_Release(&views[held])
    return closed
