/* The clock of frames (`stickyd.ipc.queue_clock`) and of requests, and histograms of both
 * (`stickyd.stats.Histogram`).
 */
#ifndef STICKYD_CLOCK_H
#define STICKYD_CLOCK_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "sockets.h"

/* Seconds, as Python's time.monotonic(). */
static inline double sd_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Microseconds modulo 2**32; not 0. */
static inline uint32_t sd_queue_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint32_t time = (uint32_t)((uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
    return time ? time : 1;
}

/* Count a duration.
 *
 * cells: one for each of the count bounds, one for the rest, one for the sum in microseconds. */
static inline void sd_observe(uint64_t *cells, const double *bounds, size_t count, double seconds) {
    size_t at = 0;
    while (at < count && bounds[at] < seconds) at++;
    /* Only this process writes; the master never sees half of a number. */
    sd_store(&cells[at], cells[at] + 1);
    if (seconds > 0) sd_store(&cells[count + 1], cells[count + 1] + (uint64_t)(seconds * 1e6));
}

#endif
