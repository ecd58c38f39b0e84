/* Keyed, personalised BLAKE2b of short messages (RFC 7693).
 *
 * A key is set once and used for many messages. Digests are at most 8 bytes, taken as a
 * big-endian number, as `SlotTable` compares them; `sd_hash` has the whole state.
 */
#ifndef STICKYD_BLAKE2B_H
#define STICKYD_BLAKE2B_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SD_BLAKE2B_BLOCK 128

typedef struct {
    uint64_t h[8];       /* the state behind the key's block, if a message follows */
    uint64_t h_empty[8]; /* the state behind it if none does */
    uint32_t digest_size;
} sd_keyed;

static const uint64_t sd_blake2b_iv[8] = {
    0x6a09e667f3bcc908u, 0xbb67ae8584caa73bu, 0x3c6ef372fe94f82bu, 0xa54ff53a5f1d36f1u,
    0x510e527fade682d1u, 0x9b05688c2b3e6c1fu, 0x1f83d9abfb41bd6bu, 0x5be0cd19137e2179u,
};

/* RFC 7693, 2.7. Rounds 10 and 11 are 0 and 1 again. */
static const uint8_t sd_blake2b_sigma[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
    {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
    {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
    {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
    {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};

static inline uint64_t sd_rotate(uint64_t word, int bits) {
    return word >> bits | word << (64 - bits);
}

static inline uint64_t sd_load64(const uint8_t *bytes) { /* little-endian */
    uint64_t word = 0;
    for (int at = 7; at >= 0; at--) word = word << 8 | bytes[at];
    return word;
}

/* The compression function F (RFC 7693, 3.2); `total` bytes are hashed with this block. */
static inline void sd_compress(uint64_t h[8], const uint8_t *block, uint64_t total, int last) {
    uint64_t v[16], m[16];
    for (int at = 0; at < 16; at++) m[at] = sd_load64(block + 8 * at);
    for (int at = 0; at < 8; at++) {
        v[at] = h[at];
        v[at + 8] = sd_blake2b_iv[at];
    }
    v[12] ^= total;
    if (last) v[14] = ~v[14];
#define SD_MIX(a, b, c, d, x, y) \
    a += b + (x); d = sd_rotate(d ^ a, 32); c += d; b = sd_rotate(b ^ c, 24); \
    a += b + (y); d = sd_rotate(d ^ a, 16); c += d; b = sd_rotate(b ^ c, 63)
    for (int round = 0; round < 12; round++) {
        const uint8_t *s = sd_blake2b_sigma[round % 10];
        SD_MIX(v[0], v[4], v[8], v[12], m[s[0]], m[s[1]]);
        SD_MIX(v[1], v[5], v[9], v[13], m[s[2]], m[s[3]]);
        SD_MIX(v[2], v[6], v[10], v[14], m[s[4]], m[s[5]]);
        SD_MIX(v[3], v[7], v[11], v[15], m[s[6]], m[s[7]]);
        SD_MIX(v[0], v[5], v[10], v[15], m[s[8]], m[s[9]]);
        SD_MIX(v[1], v[6], v[11], v[12], m[s[10]], m[s[11]]);
        SD_MIX(v[2], v[7], v[8], v[13], m[s[12]], m[s[13]]);
        SD_MIX(v[3], v[4], v[9], v[14], m[s[14]], m[s[15]]);
    }
#undef SD_MIX
    for (int at = 0; at < 8; at++) h[at] ^= v[at] ^ v[at + 8];
}

/* Set a key of 1 to 64 bytes; `person` is 16 bytes, `digest_size` 1 to 64. */
static inline void sd_set_key(sd_keyed *keyed, uint32_t digest_size, const uint8_t *key,
                              size_t key_size, const uint8_t *person) {
    uint8_t block[SD_BLAKE2B_BLOCK] = {0};
    memcpy(block, key, key_size);
    memcpy(keyed->h, sd_blake2b_iv, sizeof keyed->h);
    /* Fanout and depth are 1 (RFC 7693, 2.5); the person is the last quarter of the block. */
    keyed->h[0] ^= 0x01010000u ^ (uint64_t)key_size << 8 ^ digest_size;
    keyed->h[6] ^= sd_load64(person);
    keyed->h[7] ^= sd_load64(person + 8);
    keyed->digest_size = digest_size;
    memcpy(keyed->h_empty, keyed->h, sizeof keyed->h);
    sd_compress(keyed->h, block, SD_BLAKE2B_BLOCK, 0);
    sd_compress(keyed->h_empty, block, SD_BLAKE2B_BLOCK, 1);
}

/* The state behind a message that comes in two parts: the digest, in little-endian words. */
static inline void sd_hash(const sd_keyed *keyed, const uint8_t *first, size_t first_size,
                           const uint8_t *second, size_t second_size, uint64_t h[8]) {
    uint8_t block[SD_BLAKE2B_BLOCK];
    size_t filled = 0;
    uint64_t total = SD_BLAKE2B_BLOCK;
    memcpy(h, first_size + second_size ? keyed->h : keyed->h_empty, sizeof keyed->h);
    if (first_size + second_size == 0) return;
    for (int part = 0; part < 2; part++) {
        const uint8_t *at = part ? second : first;
        size_t left = part ? second_size : first_size;
        while (left) {
            if (filled == SD_BLAKE2B_BLOCK) {
                total += SD_BLAKE2B_BLOCK;
                sd_compress(h, block, total, 0);
                filled = 0;
            }
            size_t room = SD_BLAKE2B_BLOCK - filled, taken = left < room ? left : room;
            memcpy(block + filled, at, taken);
            filled += taken;
            at += taken;
            left -= taken;
        }
    }
    memset(block + filled, 0, SD_BLAKE2B_BLOCK - filled);
    sd_compress(h, block, total + filled, 1);
}

/* The digest of a message, its first byte the most significant one; of 8 bytes at most. */
static inline uint64_t sd_digest(const sd_keyed *keyed, const uint8_t *message, size_t size) {
    uint64_t h[8], digest = 0;
    sd_hash(keyed, message, size, NULL, 0, h);
    for (uint32_t at = 0; at < keyed->digest_size; at++)
        digest = digest << 8 | (h[0] >> 8 * at & 0xff);
    return digest;
}

#endif
