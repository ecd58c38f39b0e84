/* Requests at a fixed rate, however long the answers take ("open loop").
 *
 *     openloop PORT RATE SECONDS CONNECTIONS [mixed]
 *
 * Requests are due at random times (exponential gaps, fixed seed), on connections in turn. One
 * that finds its connection busy waits there, and its wait counts: a stall of the server costs
 * every request it delays, not one. Each connection is one client (X-Forwarded-For); with `mixed`
 * every request is from another one. It spins between requests, so give it a core of its own; as
 * root it goes before others there, since its own waiting for the core is no latency. Prints one
 * JSON object; times in microseconds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST_CONNECTIONS 1024
#define WAITING_MOST 4096
#define HEAD_MOST 4096
#define PATIENCE 5.0 /* seconds after the last request in which answers still count */

struct connection {
    int fd, busy, size, request_size;
    double due[WAITING_MOST]; /* the first of them is being answered while busy */
    unsigned first, count;
    char request[160], held[HEAD_MOST];
};

static struct connection connections[MOST_CONNECTIONS];
static double *latencies;
static long answered, wrong, late, sent;
static int mixed;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static double gap(double rate) {
    static uint64_t state = 88172645463325252u; /* xorshift64 */
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return -log(((double)(state >> 11) + 1.0) / 9007199254740993.0) / rate;
}

static void write_request(struct connection *c, int a, int b, int d) {
    c->request_size = snprintf(c->request, sizeof c->request,
                               "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                               "X-Forwarded-For: 10.%d.%d.%d\r\n\r\n", a, b, d);
}

static void ask(struct connection *c) {
    sent++;
    if (mixed) write_request(c, (int)(sent % 7), (int)(sent % 239), (int)(sent % 251));
    if (send(c->fd, c->request, (size_t)c->request_size, MSG_NOSIGNAL) != c->request_size)
        die("send");
    c->busy = 1;
    c->size = 0;
}

static void open_one(struct connection *c, int number, uint16_t port, int poll) {
    struct sockaddr_in address = {0};
    struct epoll_event event = {0};
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address) < 0)
        die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    write_request(c, 9, number / 200, number % 200);
    event.events = EPOLLIN;
    event.data.ptr = c;
    if (epoll_ctl(poll, EPOLL_CTL_ADD, c->fd, &event) < 0) die("epoll_ctl");
}

/* Read; whether the answer is whole. */
static int take(struct connection *c) {
    ssize_t got = recv(c->fd, c->held + c->size, (size_t)(HEAD_MOST - 1 - c->size), MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return 0;
    if (got <= 0) {
        fprintf(stderr, "openloop: the server closed a connection\n");
        exit(1);
    }
    c->size += (int)got;
    c->held[c->size] = 0;
    char *end = strstr(c->held, "\r\n\r\n");
    if (end == NULL) return 0;
    char *length = strcasestr(c->held, "\r\nContent-Length:");
    if (length == NULL || length > end) {
        fprintf(stderr, "openloop: an answer without Content-Length\n");
        exit(1);
    }
    if (end + 4 + atol(length + 17) > c->held + c->size) return 0;
    if (strncmp(c->held, "HTTP/1.1 200 ", 13) != 0) wrong++;
    return 1;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double share) {
    return answered ? latencies[(long)((double)(answered - 1) * share)] * 1e6 : 0.0;
}

int main(int argc, char **argv) {
    mixed = argc == 6 && strcmp(argv[5], "mixed") == 0;
    if (argc != 5 && !mixed) {
        fprintf(stderr, "usage: openloop PORT RATE SECONDS CONNECTIONS [mixed]\n");
        return 2;
    }
    double rate = atof(argv[2]), seconds = atof(argv[3]);
    int many = atoi(argv[4]), poll = epoll_create1(EPOLL_CLOEXEC);
    if (rate <= 0 || seconds <= 0 || many < 1 || many > MOST_CONNECTIONS) {
        fprintf(stderr, "openloop: out of range\n");
        return 2;
    }
    latencies = calloc((size_t)(rate * seconds * 2 + 10000), sizeof *latencies);
    if (latencies == NULL || poll < 0) die("openloop");
    (void)!setpriority(PRIO_PROCESS, 0, -10);
    for (int n = 0; n < many; n++) open_one(&connections[n], n, (uint16_t)atoi(argv[1]), poll);
    long given = 0, most = (long)(rate * seconds * 2 + 10000);
    double start = now(), due = start + gap(rate), end = start + seconds, at = start;
    while ((due < end && given < most) || (answered < given && at < end + PATIENCE)) {
        at = now();
        while (due <= at && due < end && given < most) {
            struct connection *c = &connections[given % many];
            if (c->count == WAITING_MOST) {
                fprintf(stderr, "openloop: the server is overloaded\n");
                return 1;
            }
            c->due[(c->first + c->count++) % WAITING_MOST] = due;
            if (!c->busy) {
                /* That we were late ourselves is no latency of the server. */
                if (at - due > 0.001) late++;
                c->due[c->first] = at;
                ask(c);
            }
            given++;
            due += gap(rate);
        }
        struct epoll_event events[64];
        int ready = epoll_wait(poll, events, 64, 0);
        for (int n = 0; n < ready; n++) {
            struct connection *c = events[n].data.ptr;
            if (!c->busy || !take(c)) continue;
            latencies[answered++] = now() - c->due[c->first];
            c->first = (c->first + 1) % WAITING_MOST;
            c->busy = 0;
            if (--c->count) ask(c);
        }
    }
    qsort(latencies, (size_t)answered, sizeof *latencies, by_size);
    printf("{\"asked\": %ld, \"answered\": %ld, \"wrong\": %ld, \"late\": %ld, \"p50\": %.1f, "
           "\"p99\": %.1f, \"p999\": %.1f, \"most\": %.1f}\n",
           given, answered, wrong, late, quantile(0.5), quantile(0.99), quantile(0.999),
           quantile(1.0));
    return 0;
}
