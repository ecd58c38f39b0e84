"""The C headers of the engine, for Cython."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "frame.h" nogil:
    enum:
        SD_FRAME_HEAD_MOST
        SD_PLACED_KIND
        SD_MOVED_KIND
        SD_RETURNED_KIND
        SD_FAMILY_NONE
        SD_FAMILY_V4
        SD_FAMILY_V6

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
        uint8_t family
        uint8_t address_size
        uint8_t addresses[36]

    uint64_t sd_get_be(const uint8_t *at, int size)
    size_t sd_read_frame(const uint8_t *message, size_t size, sd_frame_head *frame)
    size_t sd_write_frame(uint8_t *message, const sd_frame_head *frame)


cdef extern from "clock.h" nogil:
    double sd_seconds()
    uint32_t sd_queue_clock()
    void sd_observe(uint64_t *cells, const double *bounds, size_t count, double seconds)


cdef extern from "sockets.h" nogil:
    ctypedef struct iovec "struct iovec":
        void *iov_base
        size_t iov_len

    ctypedef union epoll_data:
        int fd

    ctypedef struct epoll_event "struct epoll_event":
        uint32_t events
        epoll_data data

    enum:
        EPOLLIN
        EPOLLOUT
        EAGAIN
        EINTR
        SHUT_RDWR
        SHUT_WR

    int epoll_wait(int epoll, epoll_event *events, int most, int timeout)
    int shutdown(int descriptor, int how)
    int close(int descriptor)
    void sd_store(uint64_t *word, uint64_t value)
    uint64_t sd_load(const uint64_t *word)
    bint sd_is_full(int error)
    int sd_give(
        int inbox, const uint8_t *head, size_t head_size, const uint8_t *unread,
        size_t unread_size, int descriptor
    )
    ssize_t sd_take(int inbox, uint8_t *message, size_t room, int *descriptor)
    int sd_queued(int descriptor)
    int sd_make_nonblocking(int descriptor)
    ssize_t sd_receive(int descriptor, uint8_t *data, size_t room)
    ssize_t sd_send(int descriptor, const void *data, size_t size, int last)
    ssize_t sd_send_parts(int descriptor, iovec *parts, size_t count)
    int sd_watch(int epoll, int descriptor, uint32_t before, uint32_t after)
