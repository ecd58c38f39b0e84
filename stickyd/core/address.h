/* Client addresses and trust, as in `stickyd.routing.trusted_peers`.
 *
 * An address is its bytes; an IPv4-mapped IPv6 address is the IPv4 address. Text is read and
 * written as by inet_pton(3) and inet_ntop(3), which Python uses.
 */
#ifndef STICKYD_ADDRESS_H
#define STICKYD_ADDRESS_H

#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "head.h"

#define SD_TEXT_MOST INET6_ADDRSTRLEN

typedef struct {
    uint32_t size; /* 4, 16, or 0 for a Unix socket */
    uint8_t bytes[16];
} sd_address;

/* Addresses of one size that are `base` under `mask`; a host is one with a mask of all ones. */
typedef struct {
    uint32_t size;
    uint8_t base[16];
    uint8_t mask[16];
} sd_network;

typedef struct {
    int everyone;
    int unix_peers;
    size_t count;
    const sd_network *networks;
} sd_trust;

typedef enum {
    SD_NOBODY, /* the header is missing, or the peer is not trusted */
    SD_CLIENT, /* found */
    SD_ASK     /* the Python policy decides */
} sd_walked;

/* From 4 or 16 bytes as they stand in a frame or a sockaddr. */
static inline void sd_address_of(sd_address *address, const uint8_t *bytes, uint32_t size) {
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (size == 16 && memcmp(bytes, mapped, sizeof mapped) == 0) {
        bytes += 12;
        size = 4;
    }
    address->size = size;
    memcpy(address->bytes, bytes, size);
}

/* The canonical text, not ended by NUL; its length. */
static inline size_t sd_address_text(const sd_address *address, char text[SD_TEXT_MOST]) {
    size_t size = 0;
    if (address->size == 0) return 0;
    if (address->size == 16)
        return inet_ntop(AF_INET6, address->bytes, text, SD_TEXT_MOST) != NULL ? strlen(text) : 0;
    /* inet_ntop(3) formats with snprintf(3), which is slow. */
    for (int part = 0; part < 4; part++) {
        uint8_t number = address->bytes[part];
        if (part > 0) text[size++] = '.';
        if (number >= 100) text[size++] = (char)('0' + number / 100);
        if (number >= 10) text[size++] = (char)('0' + number / 10 % 10);
        text[size++] = (char)('0' + number % 10);
    }
    return size;
}

/* Four decimal numbers without leading zeros; 0 for any other text. */
static inline int sd_read_ipv4(sd_address *address, const uint8_t *at, const uint8_t *end) {
    for (int part = 0; part < 4; part++) {
        if (part > 0 && (at == end || *at++ != '.')) return 0;
        const uint8_t *start = at;
        uint32_t number = 0;
        for (; at < end && at - start < 3 && sd_is_digit(*at); at++)
            number = number * 10 + (uint32_t)(*at - '0');
        if (at == start || number > 255 || (*start == '0' && at - start > 1)) return 0;
        address->bytes[part] = (uint8_t)number;
    }
    address->size = 4;
    return at == end;
}

static inline int sd_read_ipv6(sd_address *address, const uint8_t *at, const uint8_t *end) {
    char text[SD_TEXT_MOST];
    uint8_t bytes[16];
    size_t size = (size_t)(end - at);
    if (size >= sizeof text) return 0;
    memcpy(text, at, size);
    text[size] = '\0';
    if (strlen(text) != size || inet_pton(AF_INET6, text, bytes) != 1) return 0;
    sd_address_of(address, bytes, 16);
    return 1;
}

/* Whether there is a colon and one to five digits. */
static inline int sd_is_port(const uint8_t *at, const uint8_t *end) {
    if (end - at < 2 || end - at > 6 || *at != ':') return 0;
    for (at++; at < end; at++)
        if (!sd_is_digit(*at)) return 0;
    return 1;
}

/* One address: `v4`, `v4:port`, `v6`, `[v6]` or `[v6]:port`; 0 for anything else. */
static inline int sd_read_address(sd_address *address, const uint8_t *at, const uint8_t *end) {
    if (at == end) return 0;
    if (*at == '[') {
        const uint8_t *close = memchr(at, ']', (size_t)(end - at));
        if (close == NULL || (close + 1 < end && !sd_is_port(close + 1, end))) return 0;
        return sd_read_ipv6(address, at + 1, close);
    }
    const uint8_t *colon = memchr(at, ':', (size_t)(end - at));
    if (colon == NULL) return sd_read_ipv4(address, at, end);
    if (memchr(colon + 1, ':', (size_t)(end - colon - 1)) == NULL)
        return sd_is_port(colon, end) && sd_read_ipv4(address, at, colon);
    return sd_read_ipv6(address, at, end);
}

static inline int sd_is_in(const sd_network *network, const sd_address *address) {
    uint8_t differs = 0;
    if (network->size != address->size) return 0;
    for (uint32_t at = 0; at < network->size; at++)
        differs |= (uint8_t)((address->bytes[at] & network->mask[at]) ^ network->base[at]);
    return !differs;
}

/* Whether an address is trusted; a peer on a Unix socket has size 0. */
static inline int sd_is_trusted(const sd_trust *trust, const sd_address *address) {
    if (trust->everyone) return 1;
    if (address->size == 0) return trust->unix_peers;
    for (size_t at = 0; at < trust->count; at++)
        if (sd_is_in(&trust->networks[at], address)) return 1;
    return 0;
}

/* The client that X-Forwarded-For names: the last hop that is no trusted peer, or the first of
 * all if all are trusted. All lines are one list. A hop that is no address: SD_ASK. */
static inline sd_walked sd_client_of_xff(const sd_trust *trust, const sd_head *head,
                                         const uint8_t *data, const sd_address *peer,
                                         sd_address *client) {
    sd_walked walked = SD_NOBODY;
    for (uint32_t number = head->count; number-- > 0;) {
        const sd_field *field = &head->fields[number];
        if (field->id != SD_X_FORWARDED_FOR) continue;
        if (walked == SD_NOBODY && !sd_is_trusted(trust, peer)) return SD_NOBODY;
        const uint8_t *start = data + field->value, *end = start + field->value_size;
        for (;;) {
            const uint8_t *hop = end, *stop = end;
            while (hop > start && hop[-1] != ',') hop--;
            const uint8_t *comma = hop;
            while (hop < stop && sd_is_blank(*hop)) hop++;
            while (stop > hop && sd_is_blank(stop[-1])) stop--;
            if (!sd_read_address(client, hop, stop)) return SD_ASK;
            if (!sd_is_trusted(trust, client)) return SD_CLIENT;
            walked = SD_CLIENT;
            if (comma == start) break;
            end = comma - 1;
        }
    }
    return walked;
}

#endif
