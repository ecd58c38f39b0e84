/* The frame that travels with a connection's descriptor: read and written (`stickyd.ipc.frame`,
 * which stays the specification and has the layout).
 *
 * Addresses are not decoded: a caller that sends the connection on copies their bytes. No
 * allocation, no I/O; nothing is read outside message[0 .. size - 1].
 */
#ifndef STICKYD_FRAME_H
#define STICKYD_FRAME_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SD_FRAME_VERSION 3
#define SD_FRAME_FIXED 32        /* bytes in front of the addresses; the last two tell their size */
#define SD_ADDRESSES_MOST 36     /* bytes of the addresses: two of IPv6, a port each */
#define SD_FRAME_HEAD_MOST (SD_FRAME_FIXED + SD_ADDRESSES_MOST)

enum { SD_FAMILY_NONE = 0, SD_FAMILY_V4 = 2, SD_FAMILY_V6 = 10 }; /* AF_INET, AF_INET6 of Linux */

enum { SD_PLACED_KIND = 1, SD_MOVED_KIND = 2, SD_RETURNED_KIND = 3 };

/* What is in front of the unread bytes. */
typedef struct {
    uint64_t connection;
    uint32_t table;
    uint32_t head_left; /* ms */
    uint32_t entry;
    uint32_t put_at; /* sd_queue_clock; 0 if no request waits */
    uint16_t hops;
    uint8_t source;
    uint8_t listener;
    uint8_t kind;
    uint8_t family;
    uint8_t address_size;
    uint8_t addresses[SD_ADDRESSES_MOST]; /* peer, its port, local end, its port */
} sd_frame_head;

static inline void sd_put_be(uint8_t *at, uint64_t value, int size) {
    while (size--) {
        at[size] = (uint8_t)value;
        value >>= 8;
    }
}

static inline uint64_t sd_get_be(const uint8_t *at, int size) {
    uint64_t value = 0;
    for (int i = 0; i < size; i++) value = value << 8 | at[i];
    return value;
}

/* Bytes of the addresses of a family; -1 if there is no such family. */
static inline int sd_addresses_of(uint8_t family) {
    switch (family) {
    case SD_FAMILY_NONE: return 0;
    case SD_FAMILY_V4: return 12;
    case SD_FAMILY_V6: return 36;
    }
    return -1;
}

/* Where the unread bytes begin in a message; 0 if it is no frame (the Python codec says why). */
static inline size_t sd_read_frame(const uint8_t *message, size_t size, sd_frame_head *frame) {
    if (size < SD_FRAME_FIXED || message[0] != SD_FRAME_VERSION) return 0;
    frame->kind = message[1];
    if (frame->kind < SD_PLACED_KIND || frame->kind > SD_RETURNED_KIND) return 0;
    frame->hops = (uint16_t)sd_get_be(message + 2, 2);
    frame->connection = sd_get_be(message + 4, 8);
    frame->table = (uint32_t)sd_get_be(message + 12, 4);
    frame->head_left = (uint32_t)sd_get_be(message + 16, 4);
    frame->entry = (uint32_t)sd_get_be(message + 20, 4);
    frame->put_at = (uint32_t)sd_get_be(message + 24, 4);
    frame->source = message[28];
    frame->listener = message[29];
    frame->family = message[30];
    frame->address_size = message[31];
    if (sd_addresses_of(frame->family) != frame->address_size) return 0;
    if (size < (size_t)SD_FRAME_FIXED + frame->address_size) return 0;
    memcpy(frame->addresses, message + SD_FRAME_FIXED, frame->address_size);
    return (size_t)SD_FRAME_FIXED + frame->address_size;
}

/* Write what is in front of the unread bytes, as `sd_read_frame` reads it; its size, at most
 * SD_FRAME_HEAD_MOST. */
static inline size_t sd_write_frame(uint8_t *message, const sd_frame_head *frame) {
    message[0] = SD_FRAME_VERSION;
    message[1] = frame->kind;
    sd_put_be(message + 2, frame->hops, 2);
    sd_put_be(message + 4, frame->connection, 8);
    sd_put_be(message + 12, frame->table, 4);
    sd_put_be(message + 16, frame->head_left, 4);
    sd_put_be(message + 20, frame->entry, 4);
    sd_put_be(message + 24, frame->put_at, 4);
    message[28] = frame->source;
    message[29] = frame->listener;
    message[30] = frame->family;
    message[31] = frame->address_size;
    memcpy(message + SD_FRAME_FIXED, frame->addresses, frame->address_size);
    return (size_t)SD_FRAME_FIXED + frame->address_size;
}

#endif
