/* What the master's lane does between accept(2) and sendmsg(2), but for the head and its place.
 *
 * Frames are those of `stickyd.ipc.frame`, entries of the connection table those of
 * `stickyd.shm.connection_table`. No allocation; every call is non-blocking.
 */
#ifndef STICKYD_LANE_H
#define STICKYD_LANE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4 */
#endif

#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "address.h"
#include "frame.h"

/* One end of a connection; its address has size 0 on a Unix socket. */
typedef struct {
    sd_address address;
    uint16_t port;
} sd_end;

/* The end that a socket address names. */
static inline void sd_end_of(sd_end *end, const struct sockaddr_storage *named) {
    end->address.size = 0;
    end->port = 0;
    if (named->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)named;
        sd_address_of(&end->address, (const uint8_t *)&v4->sin_addr, 4);
        end->port = ntohs(v4->sin_port);
    } else if (named->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)named;
        sd_address_of(&end->address, (const uint8_t *)&v6->sin6_addr, 16);
        end->port = ntohs(v6->sin6_port);
    }
}

/* The next connection, non-blocking and closed on exec; -1 and errno as accept4(2). */
static inline int sd_accept(int listening, sd_end *peer) {
    struct sockaddr_storage named;
    socklen_t size = sizeof named;
    named.ss_family = AF_UNSPEC;
    int descriptor =
        accept4(listening, (struct sockaddr *)&named, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor >= 0) sd_end_of(peer, &named);
    return descriptor;
}

/* Our end of a connection; -1 and errno as getsockname(2). */
static inline int sd_local_end(int descriptor, sd_end *local) {
    struct sockaddr_storage named;
    socklen_t size = sizeof named;
    named.ss_family = AF_UNSPEC;
    if (getsockname(descriptor, (struct sockaddr *)&named, &size) < 0) return -1;
    sd_end_of(local, &named);
    return 0;
}

static inline ssize_t sd_peek(int descriptor, uint8_t *data, size_t most) {
    return recv(descriptor, data, most, MSG_PEEK | MSG_DONTWAIT);
}

static inline uint8_t *sd_put_end(uint8_t *at, const sd_end *end, int size) {
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (size == 16 && end->address.size == 4) {
        memcpy(at, mapped, sizeof mapped);
        at += sizeof mapped;
    }
    memcpy(at, end->address.bytes, end->address.size);
    at += end->address.size;
    sd_put_be(at, end->port, 2);
    return at + 2;
}

/* The addresses of a frame; of family 0 if an end has none. */
static inline void sd_set_ends(sd_frame_head *frame, const sd_end *peer, const sd_end *local) {
    if (peer->address.size == 0 || local->address.size == 0) {
        frame->family = SD_FAMILY_NONE;
        frame->address_size = 0;
        return;
    }
    int size = peer->address.size == 4 && local->address.size == 4 ? 4 : 16;
    frame->family = size == 4 ? SD_FAMILY_V4 : SD_FAMILY_V6;
    frame->address_size = (uint8_t)(2 * (size + 2));
    (void)sd_put_end(sd_put_end(frame->addresses, peer, size), local, size);
}

/* Put a connection into an inbox: 0, or errno as sendmsg(2). The caller keeps its descriptor. */
static inline int sd_put(int inbox, const uint8_t *frame, size_t size, int descriptor) {
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec data = {(void *)frame, size};
    struct msghdr message;
    memset(&message, 0, sizeof message);
    memset(&control, 0, sizeof control);
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.space;
    message.msg_controllen = sizeof control.space;
    struct cmsghdr *passing = CMSG_FIRSTHDR(&message);
    passing->cmsg_level = SOL_SOCKET;
    passing->cmsg_type = SCM_RIGHTS;
    passing->cmsg_len = CMSG_LEN(sizeof descriptor);
    memcpy(CMSG_DATA(passing), &descriptor, sizeof descriptor);
    return sendmsg(inbox, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? errno : 0;
}

/* Word and number of an entry of the connection table. A connection that is about to be put into an
 * inbox, and of which nothing has been taken out of its socket, has the word SD_IN_TRANSIT; the
 * number is stored first, as readers of the word expect. Freed in the opposite order. */
enum { SD_FREE = 0, SD_IN_TRANSIT = 1 };

/* One aligned store that no later store passes. */
static inline void sd_set_cell(uint64_t *cell, uint64_t value) {
    __atomic_store_n(cell, value, __ATOMIC_RELEASE);
}

#endif
