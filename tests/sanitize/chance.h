/* What the fuzzers draw from: a repeatable sequence, and heap buffers of exact size. */
#ifndef STICKYD_CHANCE_H
#define STICKYD_CHANCE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state;

static inline uint64_t chance(void) { /* splitmix64 */
    uint64_t word = state += 0x9e3779b97f4a7c15u;
    word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9u;
    word = (word ^ word >> 27) * 0x94d049bb133111ebu;
    return word ^ word >> 31;
}

static inline size_t below(size_t bound) { return (size_t)(chance() % bound); }

/* A buffer of `size` bytes, so that the sanitizer sees what is read or written behind its end. */
static inline uint8_t *room_for(size_t size) {
    uint8_t *room = malloc(size ? size : 1);
    if (room == NULL) abort();
    return room;
}

static inline uint8_t *exact_copy(const void *data, size_t size) {
    uint8_t *copy = room_for(size);
    memcpy(copy, data, size);
    return copy;
}

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

#endif
