/* Ids that the daemon or the app has handed out: signed ones, and the table of learned ones.
 *
 * The specifications are `stickyd.routing.signed_keys`, and `stickyd.shm.learned_layout` and
 * `learned_table`, which explains why readers need no lock. Ids are only looked up here; Python
 * stores them.
 *
 * Nothing is read outside of a key and of the memory of the table; of that, the time of an id's
 * last use is written.
 */
#ifndef STICKYD_IDS_H
#define STICKYD_IDS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "blake2b.h"

/* ---- ids that carry their slot */

static inline int sd_base64url(uint8_t byte) {
    if (byte >= 'A' && byte <= 'Z') return byte - 'A';
    if (byte >= 'a' && byte <= 'z') return byte - 'a' + 26;
    if (byte >= '0' && byte <= '9') return byte - '0' + 52;
    return byte == '-' ? 62 : byte == '_' ? 63 : -1;
}

/* The slot that a key of 28 characters carries; 0 for any text that was not signed with `tag`. */
static inline uint16_t sd_signed_slot(const sd_keyed *tag, const uint8_t *key, size_t size) {
    enum { TEXT = 28, PAYLOAD = 14, TAG = 7 };
    uint8_t bytes[PAYLOAD + TAG], differs = 0;
    if (size != TEXT) return 0;
    for (int in = 0, out = 0; in < TEXT; in += 4, out += 3) {
        int32_t group = 0;
        for (int at = in; at < in + 4; at++) {
            int six = sd_base64url(key[at]);
            if (six < 0) return 0;
            group = group << 6 | six;
        }
        bytes[out] = (uint8_t)(group >> 16);
        bytes[out + 1] = (uint8_t)(group >> 8);
        bytes[out + 2] = (uint8_t)group;
    }
    uint64_t expected = sd_digest(tag, bytes, PAYLOAD);
    /* In constant time: a client must not learn a tag byte by byte. */
    for (int at = 0; at < TAG; at++)
        differs |= (uint8_t)(bytes[PAYLOAD + at] ^ (uint8_t)(expected >> 8 * (TAG - 1 - at)));
    return differs ? 0 : (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* ---- learned ids */

enum { SD_LEARNED_AT = 4096, SD_WAYS_MOST = 31, SD_LEARNED_DIGEST = 24 };

/* One table; `words` is NULL if there is none. */
typedef struct {
    uint64_t *words; /* tags, marks and times of last use, `sets` * `ways` of each */
    uint64_t sets;
    uint64_t ways;
    uint64_t idle; /* microseconds */
    sd_keyed hash;
} sd_learned;

static inline uint64_t sd_native64(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

/* Take the table that stands in a memory, which is aligned and stays mapped; 0 if none does. */
static inline int sd_open_learned(sd_learned *learned, uint8_t *memory, size_t size) {
    static const uint8_t magic[16] = "stickyd learned\1", person[16] = "stickyd-learn-1";
    learned->words = NULL;
    if (size < SD_LEARNED_AT || memcmp(memory, magic, sizeof magic) != 0) return 0;
    learned->sets = sd_native64(memory + 16);
    learned->ways = sd_native64(memory + 24);
    learned->idle = sd_native64(memory + 32);
    if (learned->sets < 1 || learned->sets > UINT32_MAX) return 0;
    if (learned->ways < 1 || learned->ways > SD_WAYS_MOST) return 0;
    if (size != SD_LEARNED_AT + 8 * learned->sets * (3 * learned->ways + 2)) return 0;
    sd_set_key(&learned->hash, SD_LEARNED_DIGEST, memory + 64, 32, person);
    learned->words = (uint64_t *)(void *)(memory + SD_LEARNED_AT);
    return 1;
}

/* The clock of the table, time.monotonic() in Python, in microseconds. */
static inline uint64_t sd_microseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

static inline uint64_t sd_peek_word(const uint64_t *word) {
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

/* The slot of an id, which is `prefix` and `id` in one; 0 if it is not known, or idle. Its last
 * use is `now`. */
static inline uint16_t sd_find_learned(const sd_learned *learned, const uint8_t *prefix,
                                       size_t prefix_size, const uint8_t *id, size_t size,
                                       uint64_t now) {
    uint64_t h[8], places = learned->sets * learned->ways, starts[2];
    int sets = learned->sets > 1 ? 2 : 1;
    sd_hash(&learned->hash, prefix, prefix_size, id, size, h);
    uint64_t tag = h[0] ? h[0] : 1, mark = h[1] & ~(uint64_t)0xffff;
    uint64_t first = (h[2] & 0xffffffffu) * learned->sets >> 32;
    starts[0] = first * learned->ways;
    if (sets == 2) {
        uint64_t step = (h[2] >> 32) * (learned->sets - 1) >> 32;
        starts[1] = (first + 1 + step) % learned->sets * learned->ways;
    }
    for (int set = 0; set < sets; set++) {
        for (uint64_t place = starts[set]; place < starts[set] + learned->ways; place++) {
            if (sd_peek_word(&learned->words[place]) != tag) continue;
            uint64_t slot = sd_peek_word(&learned->words[places + place]) ^ mark;
            if (slot > 0xffff) continue;
            uint64_t *used = &learned->words[2 * places + place], then = sd_peek_word(used);
            if (now > learned->idle && then < now - learned->idle) continue;
            if (then < now) __atomic_store_n(used, now, __ATOMIC_RELAXED);
            return (uint16_t)slot;
        }
    }
    return 0;
}

#endif
