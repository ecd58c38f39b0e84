/* Ids between a request and its answer: the daemon's cookie is taken out of the head, and what an
 * answer hands out is compared with the table of learned ids.
 *
 * The specifications are `stickyd.http1.cookie_header` and `stickyd.worker.answer_ids`.
 */
#ifndef STICKYD_ANSWER_IDS_H
#define STICKYD_ANSWER_IDS_H

#include "placer.h"

/* The Cookie of `value` without any cookie called `name`; `room` is as long as the value. Of size 0
 * if nothing is left; NULL if there is none of that name. */
static inline sd_span sd_without_cookie(sd_span value, const char *name, size_t name_size,
                                        uint8_t *room) {
    size_t size = 0;
    int found = 0, empty = 1, first = 1;
    for (sd_span rest = value, pair; rest.data != NULL; ) {
        pair = sd_before(rest, ';', &rest);
        sd_span bare = sd_trimmed(pair);
        if (sd_is_cookie(bare, name, name_size)) {
            found = 1;
            continue;
        }
        if (!first) room[size++] = ';';
        first = 0;
        if (pair.size) memcpy(room + size, pair.data, pair.size);
        size += pair.size;
        if (bare.size) empty = 0;
    }
    if (!found) return sd_none;
    return empty ? (sd_span){room, 0} : sd_trimmed((sd_span){room, size});
}

/* Whether a Max-Age says that the cookie ends: 0 or less. */
static inline int sd_age_ends(sd_span age) {
    int less = age.size && age.data[0] == '-', zero = 1;
    if (less) age.data++, age.size--;
    if (!age.size) return 0;
    for (size_t at = 0; at < age.size; at++) {
        if (!sd_is_digit(age.data[at])) return 0;
        zero &= age.data[at] == '0';
    }
    return less || zero;
}

/* What a Set-Cookie of `value` stores under `name`; NULL for nothing (RFC 6265, 5.2). */
static inline sd_span sd_stored_cookie(sd_span value, const char *name, size_t name_size) {
    sd_span attributes, text, age;
    sd_span stored = sd_trimmed(sd_before(sd_before(value, ';', &attributes), '=', &text));
    if (text.data == NULL || stored.size != name_size || memcmp(stored.data, name, name_size) != 0)
        return sd_none;
    text = sd_trimmed(text);
    if (!text.size || (text.size == 2 && memcmp(text.data, "\"\"", 2) == 0)) return sd_none;
    while (attributes.data != NULL) {
        sd_span key = sd_trimmed(sd_before(sd_before(attributes, ';', &attributes), '=', &age));
        if (key.size == 7 && sd_same_name(key.data, "max-age", 7) && age.data != NULL &&
            sd_age_ends(sd_trimmed(age)))
            return sd_none;
    }
    return text;
}

/* The id that an answer hands out under the name of a source; NULL if it hands out none.
 *
 * `fields` are lines of name, colon and value that end in CR LF. */
static inline sd_span sd_handed_out(const sd_source *source, sd_span fields) {
    sd_span found = sd_none;
    int of_header = source->kind == SD_SOURCE_LEARN_HDR, lines = 0;
    const char *name = of_header ? source->name : "set-cookie";
    size_t name_size = of_header ? source->name_size : 10;
    for (sd_span rest = fields, line, value; rest.data != NULL; ) {
        line = sd_before(rest, '\n', &rest);
        if (line.size <= name_size || line.data[name_size] != ':' ||
            !sd_same_name(line.data, name, name_size))
            continue;
        value = (sd_span){line.data + name_size + 1, line.size - name_size - 1};
        if (value.size && value.data[value.size - 1] == '\r') value.size--;
        if (of_header) {
            /* As of requests: of several lines none is certain. */
            if (lines++) return sd_none;
            found = sd_trimmed(value);
        } else {
            /* Of several the last one stays (RFC 6265, 5.3). */
            sd_span stored = sd_stored_cookie(value, source->name, source->name_size);
            if (stored.data != NULL) found = stored;
        }
    }
    return found.size ? found : sd_none;
}

/* Whether an answer of `slot` with these fields hands out an id that is not known to be the slot's.
 * One that is known counts as used. */
static inline int sd_hands_out_news(const sd_placer *placer, uint16_t slot, const uint8_t *data,
                                    size_t size) {
    if (placer->learned.words == NULL) return 0;
    for (size_t at = 0; at < placer->sources; at++) {
        const sd_source *source = &placer->chain[at];
        if (source->kind != SD_SOURCE_LEARN_HDR && source->kind != SD_SOURCE_LEARN_COOKIE) continue;
        sd_span id = sd_handed_out(source, (sd_span){data, size});
        if (id.data == NULL || sd_declared(placer, id.data, id.size)) continue;
        if (sd_find_learned(&placer->learned, source->prefix, source->prefix_size, id.data, id.size,
                            sd_microseconds()) != slot)
            return 1;
    }
    return 0;
}

#endif
