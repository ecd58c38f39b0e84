/* The system calls of the compiled engine: descriptors passed and taken, words of the connection
 * table. No Python, no allocation; nothing waits.
 */
#ifndef STICKYD_SOCKETS_H
#define STICKYD_SOCKETS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/sockios.h>

/* One aligned store that no later store passes: at no instant another process sees half of it, or
 * what came after it without it. */
static inline void sd_store(uint64_t *word, uint64_t value) {
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static inline uint64_t sd_load(const uint64_t *word) {
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

/* The inbox is full, or the kernel is short of something for the moment (unix(7)). */
static inline int sd_is_full(int error) {
    return error == EAGAIN || error == ENOBUFS || error == ETOOMANYREFS || error == ENOMEM;
}

typedef union {
    struct cmsghdr header; /* for its alignment */
    char space[CMSG_SPACE(sizeof(int))];
} sd_control;

/* Put a connection into an inbox (sendmsg(2), SCM_RIGHTS): 0, or errno. */
static inline int sd_give(int inbox, const uint8_t *head, size_t head_size, const uint8_t *unread,
                          size_t unread_size, int descriptor) {
    struct iovec parts[2] = {{(void *)head, head_size}, {(void *)unread, unread_size}};
    sd_control control;
    struct msghdr message;
    memset(&message, 0, sizeof message);
    memset(&control, 0, sizeof control);
    message.msg_iov = parts;
    message.msg_iovlen = unread_size ? 2 : 1;
    message.msg_control = control.space;
    message.msg_controllen = sizeof control.space;
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(rights), &descriptor, sizeof(int));
    ssize_t sent;
    do sent = sendmsg(inbox, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? errno : 0;
}

/* Take a connection out of an inbox: bytes of its message, 0 at the end; or -1 and errno.
 *
 * descriptor: -1 if the kernel could not install it (recvmsg(2), MSG_CTRUNC), or the message is
 * not what anybody sends here. */
static inline ssize_t sd_take(int inbox, uint8_t *message, size_t room, int *descriptor) {
    struct iovec part = {message, room};
    sd_control control;
    struct msghdr header;
    ssize_t size;
    do {
        memset(&header, 0, sizeof header);
        header.msg_iov = &part;
        header.msg_iovlen = 1;
        header.msg_control = control.space;
        header.msg_controllen = sizeof control.space;
        size = recvmsg(inbox, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (size < 0 && errno == EINTR);
    *descriptor = -1;
    if (size < 0) return size;
    /* Alignment leaves room for two: a message that is not ours may have both installed. */
    int found[sizeof control.space / sizeof(int)];
    size_t count = 0;
    for (struct cmsghdr *at = CMSG_FIRSTHDR(&header); at != NULL; at = CMSG_NXTHDR(&header, at)) {
        if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS) continue;
        size_t more = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        if (more > sizeof found / sizeof *found - count) more = sizeof found / sizeof *found - count;
        memcpy(found + count, CMSG_DATA(at), more * sizeof(int));
        count += more;
    }
    if (count == 1 && !(header.msg_flags & (MSG_CTRUNC | MSG_TRUNC)))
        *descriptor = found[0];
    else
        while (count > 0) close(found[--count]);
    return size;
}

/* Bytes that the client's kernel has not acknowledged (tcp(7), SIOCOUTQ); -1 if it cannot be
 * told. */
static inline int sd_queued(int descriptor) {
    int queued;
    return ioctl(descriptor, SIOCOUTQ, &queued) < 0 ? -1 : queued;
}

static inline int sd_make_nonblocking(int descriptor) {
    int yes = 1;
    return ioctl(descriptor, FIONBIO, &yes);
}

static inline ssize_t sd_receive(int descriptor, uint8_t *data, size_t room) {
    ssize_t size;
    do size = recv(descriptor, data, room, MSG_DONTWAIT);
    while (size < 0 && errno == EINTR);
    return size;
}

/* -1 and errno as send(2).
 *
 * last: shutdown(2) follows at once, and pushes the data: both go out in one segment. */
static inline ssize_t sd_send(int descriptor, const void *data, size_t size, int last) {
    const int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (last ? MSG_MORE : 0);
    ssize_t sent;
    do sent = send(descriptor, data, size, flags);
    while (sent < 0 && errno == EINTR);
    return sent;
}

static inline ssize_t sd_send_parts(int descriptor, struct iovec *parts, size_t count) {
    struct msghdr message;
    memset(&message, 0, sizeof message);
    message.msg_iov = parts;
    message.msg_iovlen = count;
    ssize_t sent;
    do sent = sendmsg(descriptor, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent;
}

/* epoll_ctl(2): begin to watch for events (before: 0), watch for others, or no longer (after: 0);
 * 0, or errno. */
static inline int sd_watch(int epoll, int descriptor, uint32_t before, uint32_t after) {
    struct epoll_event event;
    memset(&event, 0, sizeof event);
    event.events = after;
    event.data.fd = descriptor;
    int what = !after ? EPOLL_CTL_DEL : before ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    return epoll_ctl(epoll, what, descriptor, &event) < 0 ? errno : 0;
}

#endif
