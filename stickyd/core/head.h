/* Request heads: the plain ones read in one pass, offsets into the buffer out.
 *
 * The rules are those of the Python reader (its modules `head` and `lines`; RFC 9112, 2 to 6),
 * which stays the specification. A verdict other than SD_UNUSUAL is the one it would give. All
 * that is refused, and all that is seldom, is SD_UNUSUAL: then ask the Python reader.
 *
 * Unusual, though it may be valid: lines that end in LF alone, an empty line in front, a target
 * that does not begin with "/", Transfer-Encoding, Expect, a Host of the form [v1.x], more fields
 * than SD_FIELDS_MOST.
 *
 * No allocation, no I/O, no state between calls; nothing is read outside data[0 .. size - 1].
 */
#ifndef STICKYD_HEAD_H
#define STICKYD_HEAD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SD_FIELDS_MOST 128
#define SD_SIZE_MOST 0x7fffffff

typedef enum {
    SD_INCOMPLETE, /* may still become a head */
    SD_HEAD,       /* a whole, valid head */
    SD_UNUSUAL     /* the Python reader decides */
} sd_verdict;

/* Fields that somebody asks for by name. */
typedef enum {
    SD_OTHER_FIELD,
    SD_HOST,
    SD_CONNECTION,
    SD_CONTENT_LENGTH,
    SD_TRANSFER_ENCODING,
    SD_EXPECT,
    SD_UPGRADE,
    SD_X_FORWARDED_FOR,
    SD_X_FORWARDED_PROTO,
    SD_FORWARDED,
    SD_COOKIE
} sd_field_id;

enum { /* sd_head.flags */
    SD_KEEP_ALIVE = 1,        /* another request may follow */
    SD_SAYS_CLOSE = 2,        /* options of Connection, as they were sent */
    SD_SAYS_KEEP_ALIVE = 4,
    SD_SAYS_UPGRADE = 8,
    SD_HAS_CONNECTION = 16,   /* there is a Connection field */
    SD_HAS_UPGRADE = 32,      /* there is an Upgrade field */
    SD_HAS_LENGTH = 64,       /* there is a Content-Length field */
    SD_HAS_COOKIE = 128       /* there is a Cookie field */
};

/* Bounds as `Limits` has them, each at most SD_SIZE_MOST. */
typedef struct {
    uint32_t request_line;
    uint32_t fields;
    uint32_t field_size;
    uint32_t head;
} sd_limits;

/* Offsets from the start of the data; the value without blanks around it. */
typedef struct {
    uint32_t name;
    uint32_t name_size;
    uint32_t value;
    uint32_t value_size;
    uint32_t hash; /* of the name in lower case */
    uint32_t id;   /* sd_field_id */
} sd_field;

/* Valid after SD_HEAD only. `fields` leaves out names with an underscore, as the Python reader
 * does. */
typedef struct {
    uint32_t method_size; /* the method begins at 0 */
    uint32_t target;
    uint32_t target_size;
    uint32_t minor;
    uint32_t size; /* of the head, its empty line included */
    uint32_t flags;
    uint32_t count; /* of fields */
    int64_t length; /* of the body */
    sd_field fields[SD_FIELDS_MOST];
} sd_head;

/* What a byte may be part of. */
enum { SD_TCHAR = 1, SD_UNDERSCORE = 2, SD_TARGET = 4, SD_REG_NAME = 8, SD_IP_LITERAL = 16 };

#define SD_T (SD_TCHAR | SD_TARGET)
#define SD_N (SD_TCHAR | SD_TARGET | SD_REG_NAME)
#define SD_X (SD_N | SD_IP_LITERAL)
#define SD_S (SD_TARGET | SD_REG_NAME)
static const uint8_t sd_bytes[256] = {
    ['!'] = SD_N, ['"'] = SD_TARGET, ['#'] = SD_TCHAR, ['$'] = SD_N, ['%'] = SD_N, ['&'] = SD_N,
    ['\''] = SD_N, ['('] = SD_S, [')'] = SD_S, ['*'] = SD_N, ['+'] = SD_N, [','] = SD_S,
    ['-'] = SD_N, ['.'] = SD_X, ['/'] = SD_TARGET,
    ['0'] = SD_X, ['1'] = SD_X, ['2'] = SD_X, ['3'] = SD_X, ['4'] = SD_X, ['5'] = SD_X,
    ['6'] = SD_X, ['7'] = SD_X, ['8'] = SD_X, ['9'] = SD_X,
    [':'] = SD_TARGET | SD_IP_LITERAL, [';'] = SD_S, ['<'] = SD_TARGET, ['='] = SD_S,
    ['>'] = SD_TARGET, ['?'] = SD_TARGET, ['@'] = SD_TARGET,
    ['A'] = SD_X, ['B'] = SD_X, ['C'] = SD_X, ['D'] = SD_X, ['E'] = SD_X, ['F'] = SD_X,
    ['G'] = SD_N, ['H'] = SD_N, ['I'] = SD_N, ['J'] = SD_N, ['K'] = SD_N, ['L'] = SD_N,
    ['M'] = SD_N, ['N'] = SD_N, ['O'] = SD_N, ['P'] = SD_N, ['Q'] = SD_N, ['R'] = SD_N,
    ['S'] = SD_N, ['T'] = SD_N, ['U'] = SD_N, ['V'] = SD_N, ['W'] = SD_N, ['X'] = SD_N,
    ['Y'] = SD_N, ['Z'] = SD_N,
    ['['] = SD_TARGET, ['\\'] = SD_TARGET, [']'] = SD_TARGET, ['^'] = SD_T,
    ['_'] = SD_N | SD_UNDERSCORE, ['`'] = SD_T,
    ['a'] = SD_X, ['b'] = SD_X, ['c'] = SD_X, ['d'] = SD_X, ['e'] = SD_X, ['f'] = SD_X,
    ['g'] = SD_N, ['h'] = SD_N, ['i'] = SD_N, ['j'] = SD_N, ['k'] = SD_N, ['l'] = SD_N,
    ['m'] = SD_N, ['n'] = SD_N, ['o'] = SD_N, ['p'] = SD_N, ['q'] = SD_N, ['r'] = SD_N,
    ['s'] = SD_N, ['t'] = SD_N, ['u'] = SD_N, ['v'] = SD_N, ['w'] = SD_N, ['x'] = SD_N,
    ['y'] = SD_N, ['z'] = SD_N,
    ['{'] = SD_TARGET, ['|'] = SD_T, ['}'] = SD_TARGET, ['~'] = SD_N,
};
#undef SD_T
#undef SD_N
#undef SD_X
#undef SD_S

static inline uint8_t sd_lower(uint8_t byte) {
    return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

static inline int sd_is_digit(uint8_t byte) { return byte >= '0' && byte <= '9'; }

static inline int sd_is_blank(uint8_t byte) { return byte == ' ' || byte == '\t'; }

/* Whether `size` bytes are the text `lower`, which is in lower case and as long. */
static inline int sd_same_name(const uint8_t *bytes, const char *lower, size_t size) {
    for (size_t at = 0; at < size; at++)
        if (sd_lower(bytes[at]) != (uint8_t)lower[at]) return 0;
    return 1;
}

static inline sd_field_id sd_identify(const uint8_t *name, size_t size) {
#define SD_IF(text, id) \
    if (sd_same_name(name, text, sizeof text - 1)) return id
    switch (size) {
    case 4: SD_IF("host", SD_HOST); break;
    case 6:
        SD_IF("cookie", SD_COOKIE);
        SD_IF("expect", SD_EXPECT);
        break;
    case 7: SD_IF("upgrade", SD_UPGRADE); break;
    case 9: SD_IF("forwarded", SD_FORWARDED); break;
    case 10: SD_IF("connection", SD_CONNECTION); break;
    case 14: SD_IF("content-length", SD_CONTENT_LENGTH); break;
    case 15: SD_IF("x-forwarded-for", SD_X_FORWARDED_FOR); break;
    case 17:
        SD_IF("x-forwarded-proto", SD_X_FORWARDED_PROTO);
        SD_IF("transfer-encoding", SD_TRANSFER_ENCODING);
        break;
    }
#undef SD_IF
    return SD_OTHER_FIELD;
}

/* The first byte of `at` .. `end` that no value may hold (a control character but TAB; so CR and
 * LF), or `end`. Eight bytes at a time: the tests are exact as to whether there is one. */
static inline const uint8_t *sd_value_end(const uint8_t *at, const uint8_t *end) {
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    for (;;) {
        while (end - at >= 8) {
            uint64_t word, del;
            memcpy(&word, at, 8);
            del = word ^ 0x7f * ones;
            if ((((word - 0x20 * ones) & ~word) | ((del - ones) & ~del)) & tops) break;
            at += 8;
        }
        const uint8_t *stop = end - at >= 8 ? at + 8 : end;
        for (; at < stop; at++)
            if ((*at < 0x20 && *at != '\t') || *at == 0x7f) return at;
        if (at == end) return end;
    }
}

/* Whether a Host field is a reg-name or an IP literal, each with or without a port, or empty
 * (RFC 9112, 3.2; RFC 3986, 3.2.2). */
static inline int sd_host_is_plain(const uint8_t *at, const uint8_t *end) {
    if (at == end) return 1;
    const uint8_t *start = at;
    if (*at == '[') {
        for (at++; at < end && sd_bytes[*at] & SD_IP_LITERAL; at++) {}
        if (at == start + 1 || at == end || *at != ']') return 0;
        at++;
    } else {
        for (; at < end && sd_bytes[*at] & SD_REG_NAME; at++) {}
        if (at == start) return 0;
    }
    if (at < end && *at == ':')
        for (at++; at < end && sd_is_digit(*at); at++) {}
    return at == end;
}

/* The flags of the options in one Connection field (RFC 9110, 7.6.1). */
static inline uint32_t sd_options(const uint8_t *at, const uint8_t *end) {
    uint32_t flags = SD_HAS_CONNECTION;
    for (;;) {
        const uint8_t *comma = memchr(at, ',', (size_t)(end - at));
        const uint8_t *stop = comma != NULL ? comma : end;
        while (at < stop && sd_is_blank(*at)) at++;
        while (stop > at && sd_is_blank(stop[-1])) stop--;
        switch (stop - at) {
        case 5: if (sd_same_name(at, "close", 5)) flags |= SD_SAYS_CLOSE; break;
        case 7: if (sd_same_name(at, "upgrade", 7)) flags |= SD_SAYS_UPGRADE; break;
        case 10: if (sd_same_name(at, "keep-alive", 10)) flags |= SD_SAYS_KEEP_ALIVE; break;
        }
        if (comma == NULL) return flags;
        at = comma + 1;
    }
}

/* Take one field into account that frames the message; 0 if the Python reader has to. */
static inline int sd_frame(sd_head *head, const sd_field *field, const uint8_t *data, int *hosts) {
    const uint8_t *value = data + field->value, *end = value + field->value_size;
    switch (field->id) {
    case SD_HOST:
        return (*hosts)++ == 0 && sd_host_is_plain(value, end);
    case SD_CONNECTION:
        head->flags |= sd_options(value, end);
        return 1;
    case SD_UPGRADE:
        head->flags |= SD_HAS_UPGRADE;
        return 1;
    case SD_CONTENT_LENGTH:
        if (head->flags & SD_HAS_LENGTH || field->value_size == 0 || field->value_size > 18)
            return 0;
        head->flags |= SD_HAS_LENGTH;
        for (; value < end; value++) {
            if (!sd_is_digit(*value)) return 0;
            head->length = head->length * 10 + (*value - '0');
        }
        return 1;
    case SD_COOKIE:
        /* Python makes several one (RFC 9113, 8.2.3). */
        if (head->flags & SD_HAS_COOKIE) return 0;
        head->flags |= SD_HAS_COOKIE;
        return 1;
    case SD_TRANSFER_ENCODING:
    case SD_EXPECT:
        return 0;
    default:
        return 1;
    }
}

/* The verdict where data ends within a line that begins at `line`. A CR at its end may be the
 * first half of the line ending. */
static inline sd_verdict sd_unfinished(const uint8_t *data, size_t size, size_t line,
                                       const sd_limits *limits) {
    size_t length = size - line - (size > line && data[size - 1] == '\r');
    size_t most = line == 0 ? limits->request_line : limits->field_size;
    /* The line ending to come counts: a head is known to be too long one byte early. */
    return length > most || size >= limits->head ? SD_UNUSUAL : SD_INCOMPLETE;
}

/* Whether a line of `length` bytes that ends in the CR at `cr` keeps to the bounds. */
static inline int sd_line_fits(const uint8_t *data, const uint8_t *cr, size_t length, size_t most,
                               const sd_limits *limits) {
    return cr[1] == '\n' && length <= most && (size_t)(cr + 2 - data) <= limits->head;
}

/* Read the request head at the start of data.
 *
 * scanned: how many of the bytes earlier calls have seen, which found them SD_INCOMPLETE (or the
 * Python reader did). 0 at first. Without a new line ending nothing is read again.
 */
static inline sd_verdict sd_read_head(const uint8_t *data, size_t size, size_t scanned,
                                      const sd_limits *limits, sd_head *head) {
    if (size == 0 || size > SD_SIZE_MOST || scanned > size) return SD_UNUSUAL;
    if (!(sd_bytes[data[0]] & SD_TCHAR)) return SD_UNUSUAL;
    const uint8_t *const end = data + size;
    if (scanned > 0 && memchr(data + scanned, '\n', size - scanned) == NULL) {
        size_t line = scanned;
        while (line > 0 && data[line - 1] != '\n') line--;
        return sd_unfinished(data, size, line, limits);
    }

    /* The request line (RFC 9112, 3). */
    const uint8_t *at = data;
    while (at < end && sd_bytes[*at] & SD_TCHAR) at++;
    if (at == end) return sd_unfinished(data, size, 0, limits);
    if (*at != ' ') return SD_UNUSUAL;
    head->method_size = (uint32_t)(at - data);
    if (head->method_size == 7 && memcmp(data, "CONNECT", 7) == 0) return SD_UNUSUAL;
    if (++at == end) return sd_unfinished(data, size, 0, limits);
    if (*at != '/') return SD_UNUSUAL;
    head->target = (uint32_t)(at - data);
    while (at < end && sd_bytes[*at] & SD_TARGET) at++;
    if (at == end) return sd_unfinished(data, size, 0, limits);
    head->target_size = (uint32_t)(at - data) - head->target;
    static const char version[] = " HTTP/1.";
    size_t left = (size_t)(end - at), wanted = sizeof version - 1;
    if (memcmp(at, version, left < wanted ? left : wanted) != 0) return SD_UNUSUAL;
    if (left < wanted + 3) {
        if (left > wanted && at[wanted] != '0' && at[wanted] != '1') return SD_UNUSUAL;
        if (left > wanted + 1 && at[wanted + 1] != '\r') return SD_UNUSUAL;
        return sd_unfinished(data, size, 0, limits);
    }
    at += wanted;
    if (*at != '0' && *at != '1') return SD_UNUSUAL;
    head->minor = (uint32_t)(*at++ - '0');
    if (*at != '\r') return SD_UNUSUAL;
    if (!sd_line_fits(data, at, (size_t)(at - data), limits->request_line, limits))
        return SD_UNUSUAL;
    at += 2;

    /* Field lines (RFC 9112, 5), each with its CRLF, until the empty one. */
    uint32_t lines = 0;
    int hosts = 0;
    head->flags = 0;
    head->count = 0;
    head->length = 0;
    for (;;) {
        const uint8_t *line = at;
        if (at == end) return sd_unfinished(data, size, (size_t)(line - data), limits);
        if (*at == '\r') {
            if (at + 1 == end) return sd_unfinished(data, size, (size_t)(line - data), limits);
            if (!sd_line_fits(data, at, 0, 0, limits)) return SD_UNUSUAL;
            at += 2;
            break;
        }
        uint32_t hash = 2166136261u; /* FNV-1a */
        uint8_t seen = 0, kind;
        for (; at < end && (kind = sd_bytes[*at]) & SD_TCHAR; at++) {
            seen |= kind;
            hash = (hash ^ sd_lower(*at)) * 16777619u;
        }
        if (at == end) return sd_unfinished(data, size, (size_t)(line - data), limits);
        if (*at != ':' || at == line) return SD_UNUSUAL;
        const uint8_t *name_end = at++;
        while (at < end && sd_is_blank(*at)) at++;
        const uint8_t *value = at;
        at = sd_value_end(at, end);
        if (at == end || (*at == '\r' && at + 1 == end))
            return sd_unfinished(data, size, (size_t)(line - data), limits);
        if (*at != '\r') return SD_UNUSUAL;
        if (!sd_line_fits(data, at, (size_t)(at - line), limits->field_size, limits))
            return SD_UNUSUAL;
        if (++lines > limits->fields || lines > SD_FIELDS_MOST) return SD_UNUSUAL;
        if (!(seen & SD_UNDERSCORE)) {
            const uint8_t *value_end = at;
            while (value_end > value && sd_is_blank(value_end[-1])) value_end--;
            sd_field *field = &head->fields[head->count++];
            field->name = (uint32_t)(line - data);
            field->name_size = (uint32_t)(name_end - line);
            field->value = (uint32_t)(value - data);
            field->value_size = (uint32_t)(value_end - value);
            field->hash = hash;
            field->id = sd_identify(line, field->name_size);
            if (field->id != SD_OTHER_FIELD && !sd_frame(head, field, data, &hosts))
                return SD_UNUSUAL;
        }
        at += 2;
    }
    if (head->minor == 1 && hosts == 0) return SD_UNUSUAL;
    if ((head->minor == 1 || head->flags & SD_SAYS_KEEP_ALIVE) && !(head->flags & SD_SAYS_CLOSE))
        head->flags |= SD_KEEP_ALIVE;
    head->size = (uint32_t)(at - data);
    return SD_HEAD;
}

#endif
