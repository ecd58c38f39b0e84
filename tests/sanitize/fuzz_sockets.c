/* Fuzzes the frame codec and the system calls of the compiled core, the C headers alone; built with
 * sanitizers by `make sanitize`.
 *
 *     fuzz_sockets COUNT [SEED]
 *
 * COUNT messages are read as frames; with every 16th, connections are accepted, passed, taken and
 * used over real sockets, by senders that may be hostile. Each buffer is a heap buffer of its exact
 * size. Checked besides: what is read is written as the same bytes, what was sent arrives, and no
 * descriptor is left open.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/un.h>

#include "chance.h"
#include "frame.h"
#include "lane.h"
#include "sockets.h"

static uint64_t frames, taken, cut, accepted;

#define CHECK(what) \
    do { \
        if (!(what)) { \
            fprintf(stderr, "line %d: not so: %s (errno %d)\n", __LINE__, #what, errno); \
            abort(); \
        } \
    } while (0)

static void fill(void *data, size_t size) {
    for (uint8_t *at = data; size-- > 0; at++) *at = (uint8_t)chance();
}

/* ---- frames */

static size_t any_frame(uint8_t *message) {
    static const uint8_t families[] = {SD_FAMILY_NONE, SD_FAMILY_V4, SD_FAMILY_V6};
    sd_frame_head frame;
    fill(&frame, sizeof frame);
    frame.kind = (uint8_t)(SD_PLACED_KIND + below(3));
    frame.family = families[below(3)];
    frame.address_size = (uint8_t)sd_addresses_of(frame.family);
    return sd_write_frame(message, &frame);
}

static void read_frames(void) {
    static const uint8_t values[] = {0, 1, 2, 3, 4, 10, 12, 35, 36, 37, 127, 128, 255};
    uint8_t input[256];
    size_t size = any_frame(input), unread = below(3) ? 0 : below(100);
    fill(input + size, unread);
    size += unread;
    for (size_t times = below(4); times-- > 0;) {
        size_t at = below(2) ? below(SD_FRAME_FIXED) : below(size + 1);
        switch (below(5)) {
        case 0: size = at; break;
        case 1: fill(input + at, below(8)); break;
        case 2: input[SD_FRAME_FIXED - 2 + below(2)] = values[below(COUNT_OF(values))]; break;
        case 3: input[below(2)] = values[below(COUNT_OF(values))]; break;
        default: input[at] ^= (uint8_t)(1 << below(8));
        }
    }
    uint8_t *message = exact_copy(input, size);
    sd_frame_head *frame = (sd_frame_head *)room_for(sizeof *frame);
    size_t begin = sd_read_frame(message, size, frame);
    if (begin) {
        frames++;
        CHECK(begin <= size && begin == (size_t)SD_FRAME_FIXED + frame->address_size);
        CHECK(sd_addresses_of(frame->family) == frame->address_size);
        CHECK(sd_get_be(message + 4, 8) == frame->connection);
        uint8_t *again = room_for(begin);
        CHECK(sd_write_frame(again, frame) == begin && memcmp(again, message, begin) == 0);
        free(again);
    }
    free(frame);
    free(message);
}

static void any_name(struct sockaddr_storage *name) {
    static const sa_family_t families[] = {AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC, 0xffff};
    fill(name, sizeof *name);
    name->ss_family = families[below(below(2) ? 2 : COUNT_OF(families))];
    if (below(2)) {
        uint8_t *host = ((struct sockaddr_in6 *)name)->sin6_addr.s6_addr;
        if (name->ss_family == AF_INET6) memcpy(host, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
    }
}

/* Addresses as accept4(2) may name them, in a frame and out of it. */
static void write_ends(void) {
    struct sockaddr_storage *names[2];
    sd_end *ends[2];
    sd_frame_head frame, found;
    for (int at = 0; at < 2; at++) {
        names[at] = (struct sockaddr_storage *)room_for(sizeof *names[at]);
        ends[at] = (sd_end *)room_for(sizeof *ends[at]);
        any_name(names[at]);
        sd_end_of(ends[at], names[at]);
    }
    fill(&frame, sizeof frame);
    frame.kind = SD_PLACED_KIND;
    sd_set_ends(&frame, ends[0], ends[1]);
    uint8_t *message = room_for((size_t)SD_FRAME_FIXED + frame.address_size);
    size_t size = sd_write_frame(message, &frame);
    CHECK(sd_read_frame(message, size, &found) == size);
    size_t each = found.address_size / 2;
    CHECK((each == 0) == (ends[0]->address.size == 0 || ends[1]->address.size == 0));
    for (int at = 0; at < 2 && each; at++) {
        sd_address address;
        sd_address_of(&address, found.addresses + (size_t)at * each, (uint32_t)each - 2);
        CHECK(address.size == ends[at]->address.size);
        CHECK(memcmp(address.bytes, ends[at]->address.bytes, address.size) == 0);
        CHECK(sd_get_be(found.addresses + (size_t)(at + 1) * each - 2, 2) == ends[at]->port);
    }
    free(message);
    for (int at = 0; at < 2; at++) {
        free(names[at]);
        free(ends[at]);
    }
}

/* ---- inboxes */

/* Send with so many descriptors, and credentials if the kernel is asked for them. */
static void send_any(int inbox, const void *data, size_t size, const int *passed, size_t count) {
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(8 * sizeof(int))];
    } control;
    struct iovec part = {(void *)data, size};
    struct msghdr message;
    memset(&message, 0, sizeof message);
    memset(&control, 0, sizeof control);
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (count) {
        message.msg_control = control.space;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *passing = CMSG_FIRSTHDR(&message);
        passing->cmsg_level = SOL_SOCKET;
        passing->cmsg_type = SCM_RIGHTS;
        passing->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(passing), passed, count * sizeof(int));
    }
    CHECK(sendmsg(inbox, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size);
}

/* The numbers of the next descriptors: the kernel gives the lowest that are free (open(2)). */
static void next_numbers(int numbers[24]) {
    for (int at = 0; at < 24; at++) CHECK((numbers[at] = fcntl(0, F_DUPFD, 0)) >= 0);
    for (int at = 0; at < 24; at++) close(numbers[at]);
}

/* A message is put in, by us or by somebody else, and taken out into some room. */
static void pass(void) {
    int ends[2], pipes[2], descriptor = -2, on = 1;
    uint8_t head[SD_FRAME_HEAD_MOST];
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0 && pipe(pipes) == 0);
    size_t head_size = any_frame(head), unread_size = below(3) ? 0 : below(3000);
    size_t size = head_size, count = 1;
    uint8_t *message = room_for(head_size + unread_size);
    memcpy(message, head, head_size);
    fill(message + head_size, unread_size);
    int passed[8] = {pipes[0], pipes[1], pipes[0], pipes[0], 0, 0, 0, 0};
    int credentials = 0;
    switch (below(4)) {
    case 0: CHECK(sd_put(ends[0], head, head_size, pipes[0]) == 0); break;
    case 1:
        size += unread_size;
        CHECK(sd_give(ends[0], head, head_size, message + head_size, unread_size, pipes[0]) == 0);
        break;
    default:
        size = below(4) ? head_size + unread_size : below(4);
        count = below(5);
        credentials = !below(3);
        if (credentials)
            CHECK(setsockopt(ends[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0);
        send_any(ends[0], message, size, passed, count);
    }
    size_t room = below(4) ? size + below(40) : below(size + 1);
    uint8_t *buffer = room_for(room);
    struct rlimit before, none;
    int short_of = !below(8);
    if (short_of) { /* of descriptors: the kernel can install none */
        CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
        none = before;
        none.rlim_cur = 0;
        CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    }
    ssize_t got = sd_take(ends[1], buffer, room, &descriptor);
    if (short_of) CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK(got == (ssize_t)(size < room ? size : room) && memcmp(buffer, message, (size_t)got) == 0);
    if (count == 1 && size <= room && !credentials && !short_of) {
        CHECK(descriptor >= 0 && fcntl(descriptor, F_GETFD) == FD_CLOEXEC);
        taken++;
    } else if (!(count == 1 && size <= room && !short_of)) {
        CHECK(descriptor == -1);
        cut++;
    }
    if (descriptor >= 0) close(descriptor);
    CHECK(sd_take(ends[1], buffer, room, &descriptor) == -1 && sd_is_full(errno));
    CHECK(descriptor == -1);
    close(ends[1]);
    CHECK(sd_put(ends[0], head, head_size, pipes[0]) == EPIPE);
    CHECK(sd_give(ends[0], head, head_size, message, 0, pipes[0]) == EPIPE);
    close(ends[0]);
    close(pipes[0]);
    close(pipes[1]);
    free(buffer);
    free(message);
}

/* Until nothing more goes in. */
static void overfill(void) {
    int ends[2], error = 0, size = 4608, descriptor;
    uint8_t head[SD_FRAME_HEAD_MOST];
    size_t head_size = any_frame(head), count = 0;
    uint8_t *buffer = room_for(head_size);
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0);
    CHECK(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
    for (; !error; count++)
        error = below(2) ? sd_put(ends[0], head, head_size, ends[0])
                         : sd_give(ends[0], head, head_size, NULL, 0, ends[0]);
    CHECK(sd_is_full(error) && count > 1);
    while (--count > 0) {
        CHECK(sd_take(ends[1], buffer, head_size, &descriptor) == (ssize_t)head_size);
        CHECK(descriptor >= 0);
        close(descriptor);
    }
    close(ends[0]);
    CHECK(sd_take(ends[1], buffer, head_size, &descriptor) == 0 && descriptor == -1);
    close(ends[1]);
    free(buffer);
}

/* ---- connections */

static void exchange(int ours, int theirs) {
    uint8_t *parts[4], *whole = room_for(0);
    struct iovec vectors[4];
    size_t size = 0, count = 1 + below(COUNT_OF(parts));
    CHECK(sd_make_nonblocking(ours) == 0);
    for (size_t at = 0; at < count; at++) {
        size_t each = below(400);
        parts[at] = room_for(each);
        fill(parts[at], each);
        vectors[at] = (struct iovec){parts[at], each};
        whole = realloc(whole, size + each + 1);
        CHECK(whole != NULL);
        memcpy(whole + size, parts[at], each);
        size += each;
    }
    if (count == 1)
        CHECK(sd_send(ours, parts[0], size, 0) == (ssize_t)size);
    else
        CHECK(sd_send_parts(ours, vectors, count) == (ssize_t)size);
    for (size_t got = 0; got < size;) {
        size_t room = 1 + below(300);
        uint8_t *peeked = room_for(room), *read = room_for(room);
        ssize_t seen = sd_peek(theirs, peeked, room);
        CHECK(seen > 0 && sd_receive(theirs, read, room) == seen);
        CHECK(memcmp(peeked, read, (size_t)seen) == 0);
        CHECK(memcmp(read, whole + got, (size_t)seen) == 0);
        got += (size_t)seen;
        free(peeked);
        free(read);
    }
    CHECK(sd_receive(theirs, parts[0], 0) <= 0);
    for (size_t at = 0; at < count; at++) free(parts[at]);
    free(whole);
}

static void watch(int descriptor) {
    static const uint32_t events[] = {0, EPOLLIN, EPOLLOUT, EPOLLIN | EPOLLOUT};
    uint32_t before = 0;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    CHECK(epoll >= 0);
    CHECK(sd_watch(epoll, descriptor, 0, 0) == ENOENT);
    CHECK(sd_watch(epoll, descriptor, EPOLLIN, EPOLLOUT) == ENOENT);
    for (size_t times = below(6); times-- > 0;) {
        uint32_t after = events[below(COUNT_OF(events))];
        if (before || after) CHECK(sd_watch(epoll, descriptor, before, after) == 0);
        before = after;
    }
    if (before) CHECK(sd_watch(epoll, descriptor, 0, before) == EEXIST);
    close(epoll);
    CHECK(sd_watch(epoll, descriptor, 0, EPOLLIN) == EBADF);
}

static void check_end(const sd_end *end, const struct sockaddr_storage *named) {
    sd_end expected;
    sd_end_of(&expected, named);
    CHECK(end->address.size == expected.address.size && end->port == expected.port);
    CHECK(memcmp(end->address.bytes, expected.address.bytes, end->address.size) == 0);
}

/* A client connects to a listening socket of any family. */
static void accept_one(void) {
    static const sa_family_t families[] = {AF_INET, AF_INET6, AF_UNIX};
    struct linger reset = {1, 0}; /* no TIME_WAIT, which would use up the ports */
    struct sockaddr_storage name, ours;
    socklen_t size = sizeof name, own = sizeof ours;
    sa_family_t family = families[below(COUNT_OF(families))];
    int listening = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int client = socket(family, SOCK_STREAM, 0), descriptor;
    CHECK(listening >= 0);
    memset(&name, 0, sizeof name);
    name.ss_family = family;
    if (family == AF_INET) ((struct sockaddr_in *)&name)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (family == AF_INET6) ((struct sockaddr_in6 *)&name)->sin6_addr = in6addr_loopback;
    socklen_t named = family == AF_INET    ? sizeof(struct sockaddr_in)
                      : family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                           : sizeof(sa_family_t); /* autobind (unix(7)) */
    sd_end *peer = (sd_end *)room_for(sizeof *peer), *local = (sd_end *)room_for(sizeof *local);
    if (bind(listening, (struct sockaddr *)&name, named) < 0) {
        CHECK(family == AF_INET6); /* a machine without it */
    } else {
        CHECK(listen(listening, 8) == 0);
        CHECK(getsockname(listening, (struct sockaddr *)&name, &size) == 0);
        CHECK(sd_accept(listening, peer) == -1 && errno == EAGAIN);
        CHECK(connect(client, (struct sockaddr *)&name, size) == 0);
        descriptor = sd_accept(listening, peer);
        CHECK(descriptor >= 0 && fcntl(descriptor, F_GETFD) == FD_CLOEXEC);
        CHECK(fcntl(descriptor, F_GETFL) & O_NONBLOCK);
        CHECK(getsockname(client, (struct sockaddr *)&ours, &own) == 0);
        check_end(peer, &ours);
        CHECK(sd_local_end(descriptor, local) == 0);
        check_end(local, &name);
        CHECK(sd_peek(descriptor, NULL, 0) == -1 || family == AF_UNIX);
        if (family != AF_UNIX) {
            exchange(descriptor, client);
            CHECK(sd_queued(descriptor) >= 0);
        }
        watch(descriptor);
        CHECK(setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) == 0);
        close(client);
        client = -1;
        if (family != AF_UNIX) {
            CHECK(sd_peek(descriptor, (uint8_t *)peer, 1) == -1 && errno == ECONNRESET);
            CHECK(sd_send(descriptor, "a", 1, 0) == -1 && errno == EPIPE);
            CHECK(sd_send(descriptor, "a", 1, 1) == -1 && errno == EPIPE);
        }
        close(descriptor);
        CHECK(sd_local_end(descriptor, local) == -1 && errno == EBADF);
        CHECK(sd_queued(descriptor) == -1 && sd_make_nonblocking(descriptor) == -1);
        accepted++;
    }
    if (client >= 0) close(client);
    close(listening);
    CHECK(sd_accept(listening, peer) == -1 && errno == EBADF);
    free(peer);
    free(local);
}

static void words(void) {
    uint64_t *word = (uint64_t *)room_for(sizeof *word), value = chance();
    sd_store(word, value);
    CHECK(sd_load(word) == value);
    sd_set_cell(word, ~value);
    CHECK(sd_load(word) == ~value);
    free(word);
}

int main(int count, char **arguments) {
    uint64_t inputs = count > 1 ? strtoull(arguments[1], NULL, 10) : 100000;
    state = count > 2 ? strtoull(arguments[2], NULL, 10) : 1;
    int before[24], after[24];
    next_numbers(before);
    for (uint64_t number = 0; number < inputs; number++) {
        read_frames();
        write_ends();
        if (number % 16) continue;
        pass();
        words();
        if (number % 64 == 0) {
            int pair[2];
            CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
            exchange(pair[0], pair[1]);
            close(pair[0]);
            close(pair[1]);
            accept_one();
        }
        if (number % 256 == 0) overfill();
        next_numbers(after);
        CHECK(memcmp(before, after, sizeof after) == 0);
    }
    printf("%llu messages: %llu frames; %llu descriptors taken, %llu refused, %llu accepted\n",
           (unsigned long long)inputs, (unsigned long long)frames, (unsigned long long)taken,
           (unsigned long long)cut, (unsigned long long)accepted);
    return 0;
}
