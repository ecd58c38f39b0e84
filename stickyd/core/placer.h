/* From a head to a slot: affinity chain, hash and rendezvous, as in `stickyd.routing`.
 *
 * What a chain's source needs that is seldom (Forwarded, percent-encoding, a hop that is no
 * address) is SD_ASK_POLICY: then ask the Python policy. Any other answer is the one it would give.
 */
#ifndef STICKYD_PLACER_H
#define STICKYD_PLACER_H

#include "address.h"
#include "blake2b.h"
#include "head.h"
#include "ids.h"

#define SD_BUCKETS 65536

typedef enum {
    SD_ASK_POLICY, /* the Python policy decides */
    SD_ANYWHERE,   /* no source gives a key: any slot will do */
    SD_BY_LOAD,    /* least: the loads decide, which Python reads */
    SD_PLACED
} sd_where;

typedef enum {
    SD_SOURCE_XFF,
    SD_SOURCE_FORWARDED,
    SD_SOURCE_SRC,
    SD_SOURCE_HDR,
    SD_SOURCE_COOKIE,
    SD_SOURCE_URL_PARAM,
    SD_SOURCE_SOCKETIO,
    SD_SOURCE_SOCKJS,
    SD_SOURCE_INSERT,
    SD_SOURCE_LEARN_HDR,
    SD_SOURCE_LEARN_COOKIE,
    SD_SOURCE_LEAST
} sd_source_kind;

/* One member of the chain. Names of headers are in lower case. `prefix` stands before a learned id
 * where it is looked up. */
typedef struct {
    sd_source_kind kind;
    const char *name;
    size_t name_size;
    const uint8_t *prefix;
    size_t prefix_size;
} sd_source;

/* Cookies of one name that are looked at (`stickyd.routing.issued_ids`). */
#define SD_COPIES_MOST 4

/* Equal in every process of a daemon but for `owners`, which is filled as buckets are met. */
typedef struct {
    sd_keyed hash;
    sd_keyed tag; /* of keys that carry their slot (`stickyd.routing.signed_keys`) */
    sd_trust trust;
    const sd_source *chain;
    size_t sources;
    const uint16_t *slots; /* in rising order, from 1 */
    size_t slot_count;
    uint16_t *owners; /* SD_BUCKETS of them, 0 where not known yet */
    sd_learned learned;
} sd_placer;

typedef struct {
    sd_where where;
    uint32_t slot;
    uint32_t source; /* which of the chain gave the key, or is least */
    int declared;    /* the key itself names the slot, or the table of learned ids does */
    uint64_t digest; /* of the key, unless it is declared; the bucket is its first 16 bits */
} sd_placement;

#define SD_SOURCE_OTHER 31 /* as stickyd.routing.source_numbers */

/* The source of the key as frames have it (`stickyd.routing.source_numbers`). */
static inline uint8_t sd_source_number(const sd_placement *placement) {
    if (placement->where != SD_PLACED && placement->where != SD_BY_LOAD) return 0;
    return placement->source < SD_SOURCE_OTHER ? (uint8_t)(placement->source + 1) : SD_SOURCE_OTHER;
}

/* The slot that weighs most in a bucket; of two that weigh the same the lower one. */
static inline uint16_t sd_owner(const sd_placer *placer, uint32_t bucket) {
    uint16_t owner = placer->owners[bucket];
    if (owner) return owner;
    uint64_t heaviest = 0;
    for (size_t at = 0; at < placer->slot_count; at++) {
        uint16_t slot = placer->slots[at];
        uint8_t pair[6] = {(uint8_t)(bucket >> 8), (uint8_t)bucket, 0, 0,
                           (uint8_t)(slot >> 8),   (uint8_t)slot};
        uint64_t weight = sd_digest(&placer->hash, pair, sizeof pair);
        if (at == 0 || weight > heaviest) {
            heaviest = weight;
            owner = slot;
        }
    }
    placer->owners[bucket] = owner;
    return owner;
}

static inline sd_where sd_hashed(const sd_placer *placer, const uint8_t *key, size_t size,
                                 sd_placement *placement) {
    placement->digest = sd_digest(&placer->hash, key, size);
    placement->slot = sd_owner(placer, (uint32_t)(placement->digest >> 48));
    return SD_PLACED;
}

/* A slot, if it is one of the table; otherwise 0. */
static inline uint16_t sd_taking_part(const sd_placer *placer, uint16_t slot) {
    for (size_t at = 0; at < placer->slot_count; at++)
        if (placer->slots[at] == slot) return slot;
    return 0;
}

/* The slot that a key of 28 characters carries, if it is one of the table; otherwise 0. */
static inline uint16_t sd_declared(const sd_placer *placer, const uint8_t *key, size_t size) {
    return sd_taking_part(placer, sd_signed_slot(&placer->tag, key, size));
}

/* A span of the data; `data` is NULL if there is none. */
typedef struct {
    const uint8_t *data;
    size_t size;
} sd_span;

static const sd_span sd_none = {NULL, 0};

static inline sd_span sd_trimmed(sd_span text) {
    while (text.size && sd_is_blank(text.data[0])) text.data++, text.size--;
    while (text.size && sd_is_blank(text.data[text.size - 1])) text.size--;
    return text;
}

/* What stands before the first `byte`, which `rest` is behind; all, and NULL, if there is none. */
static inline sd_span sd_before(sd_span text, uint8_t byte, sd_span *rest) {
    const uint8_t *at = text.size ? memchr(text.data, byte, text.size) : NULL;
    *rest = sd_none;
    if (at == NULL) return text;
    *rest = (sd_span){at + 1, (size_t)(text.data + text.size - at - 1)};
    return (sd_span){text.data, (size_t)(at - text.data)};
}

/* The header called `name`, if it has exactly one line. */
static inline sd_span sd_header(const sd_head *head, const uint8_t *data, const char *name,
                                size_t size) {
    sd_span found = sd_none;
    for (uint32_t at = 0; at < head->count; at++) {
        const sd_field *field = &head->fields[at];
        if (field->name_size != size || !sd_same_name(data + field->name, name, size)) continue;
        if (found.data != NULL) return sd_none;
        found.data = data + field->value;
        found.size = field->value_size;
    }
    return found;
}

/* Whether a pair, without blanks around it, is a cookie called `name`. */
static inline int sd_is_cookie(sd_span pair, const char *name, size_t size) {
    return pair.size > size && pair.data[size] == '=' && memcmp(pair.data, name, size) == 0;
}

/* The value of the next cookie called `name` in `rest`, which becomes what stands behind it; NULL
 * if there is none. */
static inline sd_span sd_next_cookie(sd_span *rest, const char *name, size_t size) {
    while (rest->data != NULL) {
        sd_span pair = sd_trimmed(sd_before(*rest, ';', rest));
        if (sd_is_cookie(pair, name, size))
            return (sd_span){pair.data + size + 1, pair.size - size - 1};
    }
    return sd_none;
}

/* The Cookie field, of which a head has one at most; NULL if it has none. */
static inline sd_span sd_cookies(const sd_head *head, const uint8_t *data) {
    if (head->flags & SD_HAS_COOKIE)
        for (uint32_t number = 0; number < head->count; number++) {
            const sd_field *field = &head->fields[number];
            if (field->id == SD_COOKIE) return (sd_span){data + field->value, field->value_size};
        }
    return sd_none;
}

/* The value of the first cookie called `name` (RFC 6265, 4.2). */
static inline sd_span sd_cookie(const sd_head *head, const uint8_t *data, const char *name,
                                size_t size) {
    sd_span rest = sd_cookies(head, data);
    return sd_next_cookie(&rest, name, size);
}

/* The first parameter called `name` in the query of the target; -1 where something is encoded. */
static inline int sd_url_param(const sd_head *head, const uint8_t *data, const char *name,
                               size_t size, sd_span *value) {
    const uint8_t *at = data + head->target, *end = at + head->target_size;
    *value = sd_none;
    at = memchr(at, '?', (size_t)(end - at));
    if (at == NULL) return 0;
    at++;
    if (memchr(at, '%', (size_t)(end - at)) || memchr(at, '+', (size_t)(end - at))) return -1;
    for (;;) {
        const uint8_t *ampersand = memchr(at, '&', (size_t)(end - at));
        const uint8_t *stop = ampersand != NULL ? ampersand : end;
        const uint8_t *equals = memchr(at, '=', (size_t)(stop - at));
        size_t length = (size_t)((equals != NULL ? equals : stop) - at);
        if (length == size && memcmp(at, name, size) == 0) {
            if (equals != NULL) *value = (sd_span){equals + 1, (size_t)(stop - equals - 1)};
            return 0;
        }
        if (ampersand == NULL) return 0;
        at = ampersand + 1;
    }
}

/* The last '/' in `start` .. `end`, or NULL. */
static inline const uint8_t *sd_last_slash(const uint8_t *start, const uint8_t *end) {
    while (end > start)
        if (*--end == '/') return end;
    return NULL;
}

/* The session in `/.../<3 digits>/<session>/<transport>`. */
static inline sd_span sd_sockjs(const sd_head *head, const uint8_t *data) {
    static const char *const transports[] = {"xhr",      "xhr_streaming", "xhr_send",
                                             "eventsource", "htmlfile",   "jsonp",
                                             "jsonp_send",  "websocket"};
    const uint8_t *start = data + head->target, *end = start + head->target_size;
    const uint8_t *query = memchr(start, '?', head->target_size);
    if (query != NULL) end = query;
    const uint8_t *third = sd_last_slash(start, end);
    const uint8_t *second = third != NULL ? sd_last_slash(start, third) : NULL;
    const uint8_t *first = second != NULL ? sd_last_slash(start, second) : NULL;
    if (first == NULL || second - first != 4) return sd_none;
    for (int at = 1; at < 4; at++)
        if (!sd_is_digit(first[at])) return sd_none;
    sd_span session = {second + 1, (size_t)(third - second - 1)};
    if (session.size == 0 || memchr(session.data, '.', session.size) != NULL) return sd_none;
    size_t size = (size_t)(end - third - 1);
    for (size_t at = 0; at < sizeof transports / sizeof *transports; at++)
        if (strlen(transports[at]) == size && memcmp(third + 1, transports[at], size) == 0)
            return session;
    return sd_none;
}

/* The slot of a learned id, or the one that it carries, if it is one of the table; otherwise 0. */
static inline uint16_t sd_learned_slot(const sd_placer *placer, const sd_source *source,
                                       sd_span id) {
    uint16_t slot = sd_declared(placer, id.data, id.size);
    if (slot || placer->learned.words == NULL) return slot;
    slot = sd_find_learned(&placer->learned, source->prefix, source->prefix_size, id.data, id.size,
                           sd_microseconds());
    return sd_taking_part(placer, slot);
}

/* The slot of the first id that names one, of the first cookies with the source's name. */
static inline uint16_t sd_slot_of_cookies(const sd_placer *placer, const sd_source *source,
                                          const sd_head *head, const uint8_t *data) {
    sd_span rest = sd_cookies(head, data);
    int learns = source->kind == SD_SOURCE_LEARN_COOKIE;
    for (int copies = 0; copies < SD_COPIES_MOST;) {
        sd_span id = sd_next_cookie(&rest, source->name, source->name_size);
        if (id.data == NULL) return 0;
        if (learns && id.size == 0) continue;
        uint16_t slot = learns ? sd_learned_slot(placer, source, id)
                               : sd_declared(placer, id.data, id.size);
        if (slot) return slot;
        copies++;
    }
    return 0;
}

static inline sd_where sd_named(sd_placement *placement, uint16_t slot) {
    placement->slot = slot;
    placement->declared = slot != 0;
    return slot ? SD_PLACED : SD_ANYWHERE;
}

/* What one source says; SD_ANYWHERE if it gives no key. */
static inline sd_where sd_ask_source(const sd_placer *placer, const sd_source *source,
                                     const sd_head *head, const uint8_t *data,
                                     const sd_address *peer, sd_placement *placement) {
    sd_span value = sd_none;
    sd_address client;
    char text[SD_TEXT_MOST];
    switch (source->kind) {
    case SD_SOURCE_XFF:
        switch (sd_client_of_xff(&placer->trust, head, data, peer, &client)) {
        case SD_NOBODY: return SD_ANYWHERE;
        case SD_ASK: return SD_ASK_POLICY;
        case SD_CLIENT: break;
        }
        return sd_hashed(placer, (uint8_t *)text, sd_address_text(&client, text), placement);
    case SD_SOURCE_FORWARDED:
        for (uint32_t at = 0; at < head->count; at++)
            if (head->fields[at].id == SD_FORWARDED)
                return sd_is_trusted(&placer->trust, peer) ? SD_ASK_POLICY : SD_ANYWHERE;
        return SD_ANYWHERE;
    case SD_SOURCE_SRC:
        if (peer->size == 0) return SD_ANYWHERE;
        return sd_hashed(placer, (uint8_t *)text, sd_address_text(peer, text), placement);
    case SD_SOURCE_HDR:
        value = sd_header(head, data, source->name, source->name_size);
        break;
    case SD_SOURCE_COOKIE:
        value = sd_cookie(head, data, source->name, source->name_size);
        break;
    case SD_SOURCE_URL_PARAM:
        if (sd_url_param(head, data, source->name, source->name_size, &value) < 0)
            return SD_ASK_POLICY;
        break;
    case SD_SOURCE_SOCKETIO:
        if (sd_url_param(head, data, "sid", 3, &value) < 0) return SD_ASK_POLICY;
        break;
    case SD_SOURCE_SOCKJS:
        value = sd_sockjs(head, data);
        break;
    case SD_SOURCE_INSERT:
    case SD_SOURCE_LEARN_COOKIE:
        return sd_named(placement, sd_slot_of_cookies(placer, source, head, data));
    case SD_SOURCE_LEARN_HDR:
        value = sd_header(head, data, source->name, source->name_size);
        return sd_named(placement, value.size ? sd_learned_slot(placer, source, value) : 0);
    case SD_SOURCE_LEAST: return SD_BY_LOAD;
    }
    if (value.size == 0) return SD_ANYWHERE;
    if (sd_named(placement, sd_declared(placer, value.data, value.size)) == SD_PLACED)
        return SD_PLACED;
    if (source->kind == SD_SOURCE_SOCKETIO) return SD_ANYWHERE;
    return sd_hashed(placer, value.data, value.size, placement);
}

/* Where a request belongs that came from `peer`; `head` is what sd_read_head made of `data`. */
static inline void sd_place(const sd_placer *placer, const sd_head *head, const uint8_t *data,
                            const sd_address *peer, sd_placement *placement) {
    *placement = (sd_placement){SD_ANYWHERE, 0, 0, 0, 0};
    for (size_t at = 0; at < placer->sources && placement->where == SD_ANYWHERE; at++) {
        placement->source = (uint32_t)at;
        placement->where = sd_ask_source(placer, &placer->chain[at], head, data, peer, placement);
    }
}

#endif
