"""What the master's lane uses of the C headers."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from stickyd.core.headers cimport sd_address


cdef extern from "frame.h" nogil:
    enum:
        SD_FRAME_HEAD_MOST
        SD_PLACED_KIND
        SD_RETURNED_KIND

    ctypedef struct sd_frame_head:
        uint64_t connection
        uint32_t table
        uint32_t head_left
        uint32_t entry
        uint32_t put_at
        uint16_t hops
        uint8_t source
        uint8_t listener
        uint8_t kind
        uint8_t address_size
        uint8_t addresses[36]

    uint64_t sd_get_be(const uint8_t *at, int size)
    size_t sd_read_frame(const uint8_t *message, size_t size, sd_frame_head *frame)
    size_t sd_write_frame(uint8_t *message, const sd_frame_head *frame)

cdef extern from "clock.h" nogil:
    uint32_t sd_queue_clock()

cdef extern from "lane.h" nogil:
    ctypedef struct sd_end:
        sd_address address
        uint16_t port

    int sd_accept(int listening, sd_end *peer)
    int sd_local_end(int descriptor, sd_end *local)
    Py_ssize_t sd_peek(int descriptor, uint8_t *data, size_t most)
    void sd_set_ends(sd_frame_head *frame, const sd_end *peer, const sd_end *local)
    int sd_put(int inbox, const uint8_t *message, size_t size, int descriptor)
    enum:
        SD_FREE
        SD_IN_TRANSIT
        COPY_MOST "(sizeof(int) + SD_FRAME_HEAD_MOST)"

    void sd_set_cell(uint64_t *cell, uint64_t value)
