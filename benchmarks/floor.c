/* What passing a connection to a worker costs at least: a master and its workers in C.
 *
 *     floor PORT WORKERS
 *
 * The master does accept4(2), recv(2) with MSG_PEEK, looks for X-Forwarded-For, hashes what
 * stands there, and does sendmsg(2) with SCM_RIGHTS (unix(7)) and close(2). It blocks, so not
 * even an epoll_wait is in it. A worker answers one request on each connection and closes.
 * Everything ends with the master (PR_SET_PDEATHSIG). Loopback only.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST_WORKERS 64
#define HEAD_MOST 8192

static const char FIELD[] = "\r\nX-Forwarded-For:";

static void die(const char *what) {
    perror(what);
    exit(1);
}

static pid_t children[MOST_WORKERS];

/* TERM: end the workers, and leave none of them to somebody else's wait(2). */
static void finish(int number) {
    (void)number;
    for (int n = 0; n < MOST_WORKERS && children[n] > 0; n++) kill(children[n], SIGKILL);
    for (int n = 0; n < MOST_WORKERS && children[n] > 0; n++) waitpid(children[n], NULL, 0);
    _exit(0);
}

static void work(int inbox, int number) {
    char head[HEAD_MOST], body[64], answer[256], byte;
    int length = snprintf(body, sizeof body, "From worker %d hello\n", number);
    int size = snprintf(answer, sizeof answer,
                        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n"
                        "Connection: close\r\n\r\n%s", length, body);
    for (;;) {
        union { char space[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control;
        struct iovec data = {&byte, 1};
        struct msghdr message = {0};
        message.msg_iov = &data;
        message.msg_iovlen = 1;
        message.msg_control = control.space;
        message.msg_controllen = sizeof control.space;
        ssize_t got = recvmsg(inbox, &message, MSG_CMSG_CLOEXEC);
        if (got == 0) exit(0);
        if (got < 0) {
            if (errno == EINTR) continue;
            die("recvmsg");
        }
        struct cmsghdr *first = CMSG_FIRSTHDR(&message);
        if (first == NULL || first->cmsg_type != SCM_RIGHTS) continue;
        int client;
        memcpy(&client, CMSG_DATA(first), sizeof client);
        /* The head is there: the master has seen it. An early end is the client's matter. */
        if (recv(client, head, sizeof head, 0) > 0)
            (void)!send(client, answer, (size_t)size, MSG_NOSIGNAL);
        close(client);
    }
}

static uint32_t place(const char *head, size_t size) {
    const char *found = memmem(head, size, FIELD, sizeof FIELD - 1);
    uint32_t hash = 2166136261u; /* FNV-1a */
    if (found == NULL) return hash;
    for (const char *at = found + sizeof FIELD - 1; at < head + size && *at != '\r'; at++)
        hash = (hash ^ (unsigned char)*at) * 16777619u;
    return hash ^ hash >> 16;
}

static int listen_on(uint16_t port) {
    struct sockaddr_in address = {0};
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0) die("socket");
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    /* Inherited by what is accepted; a client that says nothing must not stop us for ever. */
    struct timeval patience = {1, 0};
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) die("bind");
    if (listen(listener, 1024) < 0) die("listen");
    setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return listener;
}

int main(int argc, char **argv) {
    int workers = argc == 3 ? atoi(argv[2]) : 0, inboxes[MOST_WORKERS];
    if (workers < 1 || workers > MOST_WORKERS) {
        fprintf(stderr, "usage: floor PORT WORKERS\n");
        return 2;
    }
    int listener = listen_on((uint16_t)atoi(argv[1]));
    pid_t master = getpid();
    signal(SIGTERM, finish);
    for (int number = 1; number <= workers; number++) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) die("socketpair");
        pid_t child = fork();
        if (child < 0) die("fork");
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            signal(SIGTERM, SIG_DFL);
            if (getppid() != master) return 0;
            close(pair[0]);
            close(listener);
            work(pair[1], number);
        }
        children[number - 1] = child;
        close(pair[1]);
        inboxes[number - 1] = pair[0];
    }
    for (;;) {
        char head[HEAD_MOST];
        int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (client < 0) {
            if (errno == EINTR || errno == EAGAIN || errno == ECONNABORTED) continue;
            die("accept4");
        }
        ssize_t size = recv(client, head, sizeof head, MSG_PEEK);
        if (size > 0) {
            union { char space[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control = {{0}};
            char byte = 0;
            struct iovec data = {&byte, 1};
            struct msghdr message = {0};
            message.msg_iov = &data;
            message.msg_iovlen = 1;
            message.msg_control = control.space;
            message.msg_controllen = sizeof control.space;
            struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
            rights->cmsg_level = SOL_SOCKET;
            rights->cmsg_type = SCM_RIGHTS;
            rights->cmsg_len = CMSG_LEN(sizeof(int));
            memcpy(CMSG_DATA(rights), &client, sizeof client);
            uint32_t slot = place(head, (size_t)size) % (uint32_t)workers;
            if (sendmsg(inboxes[slot], &message, MSG_NOSIGNAL) < 0) die("sendmsg");
        }
        close(client);
    }
}
