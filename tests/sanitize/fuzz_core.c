/* Fuzzes the head reader and the placer of the compiled core, the C headers alone; built with
 * sanitizers by `make sanitize`.
 *
 *     fuzz_core COUNT [SEED]
 *
 * Each input stands in a heap buffer of exactly its size, so that a read behind its end is found.
 * Checked besides: offsets are within the head, the verdict does not depend on how the bytes came,
 * a placement names a slot of the table, and so does any word that may stand in the table of learned
 * ids, whose memory has exactly its size, too.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>

#include "chance.h"
#include "answer_ids.h"
#include "placer.h"

#define TEXT(text) {text, sizeof text - 1}
typedef struct {
    const char *text;
    size_t size;
} piece;

static const piece heads[] = {
    TEXT("GET / HTTP/1.1\r\nHost: 127.0.0.1:3000\r\nX-Forwarded-For: 10.10.10.10\r\n\r\n"),
    TEXT("GET / HTTP/1.0\r\n\r\n"),
    TEXT("POST /a?b=c&sid=AAMAAQIDBAUGBwgJCgs64NZFN4jy HTTP/1.1\r\nHost: [::1]:80\r\n"
         "Content-Length: 5\r\n\r\nhello"),
    TEXT("GET /echo/123/session/xhr?a HTTP/1.1\r\nHost: a\r\nConnection: close , x\r\nX_Y: z\r\n"
         "Empty:\r\nT: \ta\tb \t\r\n\r\n"),
    TEXT("GET /ws HTTP/1.1\r\nHost: \r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
    TEXT("GET /a HTTP/1.1\r\nHost: b\r\nCookie: theme=dark; sid=AAMAAQIDBAUGBwgJCgs64NZFN4jy\r\n"
         "Cookie: sid\r\nX-Key: alice\r\n"
         "X-Forwarded-For: 203.0.113.7:80, [2001:db8::7]:1, ::ffff:1.2.3.4\r\n"
         "X-Forwarded-For: 10.0.0.1,10.0.0.2\r\n\r\nGET /b HTTP/1.1\r\n"),
    TEXT("GET /a HTTP/1.1\r\nHost: b\r\nX-Key: alice\r\n"
         "Cookie: sid=; a=b; sid=x;sid=AAMAAQIDBAUGBwgJCgs64NZFN4jy; sid=y; sid=alice\r\n\r\n"),
};

static const piece tokens[] = {
    TEXT("\r\n"), TEXT("\r\n\r\n"), TEXT("\n"), TEXT("\r"), TEXT("\0"), TEXT(" "), TEXT("\t"),
    TEXT(":"), TEXT(","), TEXT(";"), TEXT("="), TEXT("_"), TEXT("/"), TEXT("?"), TEXT("&"),
    TEXT("["), TEXT("]"), TEXT("%"), TEXT("."), TEXT("::"), TEXT("5"), TEXT("\xff"), TEXT("\x7f"),
    TEXT("CONNECT"), TEXT(" HTTP/1.1"), TEXT(" HTTP/1.0"), TEXT("Host: b\r\n"),
    TEXT("Content-Length: 123456789012345678\r\n"), TEXT("Transfer-Encoding: chunked\r\n"),
    TEXT("Connection: keep-alive,close\r\n"), TEXT("X-Forwarded-For: 1.2.3.4\r\n"),
    TEXT("X-Forwarded-For: 1:2:3:4:5:6:7:8:9:10:11:12:13:14:15:16:17:18:19:20:21:22:23:24\r\n"),
    TEXT("Cookie: sid=\r\n"), TEXT("Forwarded: for=1\r\n"), TEXT("A: b\r\n"), TEXT("a"),
    TEXT("/123/abc/websocket"), TEXT("sid=AAMAAQIDBAUGBwgJCgs64NZFN4jy"),
};

#define MOST 16384

static uint8_t input[MOST];
static size_t input_size;

/* Put a piece in the place of `gone` bytes. */
static void put(size_t at, size_t gone, const void *piece, size_t size) {
    if (input_size - gone + size > MOST) return;
    memmove(input + at + size, input + at + gone, input_size - at - gone);
    memcpy(input + at, piece, size);
    input_size += size - gone;
}

static void mutate(void) {
    size_t at = below(input_size + 1), room = input_size - at;
    size_t gone = room ? 1 + below(room < 12 ? room : 12) : 0;
    const piece *token = &tokens[below(COUNT_OF(tokens))];
    uint8_t copy[256];
    switch (below(8)) {
    case 0:
        if (room) input[at] ^= (uint8_t)(1 << below(8));
        break;
    case 1:
    case 2: put(at, 0, token->text, token->size); break;
    case 3: put(at, gone, token->text, token->size); break;
    case 4: put(at, gone, "", 0); break;
    case 5: input_size = at; break;
    case 6: /* the same again, up to many times */
        gone = room ? 1 + below(room < sizeof copy ? room : sizeof copy) : 0;
        memcpy(copy, input + at, gone);
        for (size_t times = below(8) ? 1 : below(200); times-- > 0;) put(at, 0, copy, gone);
        break;
    default: put(at, 0, heads[0].text, heads[0].size);
    }
}

static void fail(const char *what) {
    fprintf(stderr, "%s; input of %zu bytes:\n", what, input_size);
    fwrite(input, 1, input_size, stderr);
    fputc('\n', stderr);
    abort();
}

static uint8_t *exact(size_t size) { return exact_copy(input, size); }

static void check_head(const uint8_t *data, const sd_head *head) {
    if (head->size > input_size || memcmp(data + head->size - 4, "\r\n\r\n", 4) != 0)
        fail("a head that does not end in an empty line");
    if (head->target + head->target_size > head->size || head->count > SD_FIELDS_MOST)
        fail("a part that is not in the head");
    for (uint32_t at = 0; at < head->count; at++) {
        const sd_field *field = &head->fields[at];
        if (field->name + field->name_size >= field->value + !field->value_size ||
            field->value + field->value_size > head->size - 4)
            fail("a field that is not in the head");
    }
    if (head->length < 0) fail("a length below 0");
}

static const uint16_t slots[] = {1, 2, 3, 9, 300, 65535};
static sd_network networks[3];

/* A table of learned ids: none, or one of any size, of which words are as they come; that of "alice"
 * is there more often. NULL if there is none. */
static uint8_t *any_table(sd_learned *learned) {
    uint64_t sets = 1 + below(4), ways = 1 + below(SD_WAYS_MOST), idle = below(2) ? 1 : 1 << 30;
    size_t size = (size_t)(SD_LEARNED_AT + 8 * sets * (3 * ways + 2));
    uint8_t *memory = room_for(size);
    uint64_t h[8], *words = (uint64_t *)(void *)(memory + SD_LEARNED_AT);
    memset(memory, 0, size);
    memcpy(memory, "stickyd learned\1", 16);
    memcpy(memory + 16, &sets, 8);
    memcpy(memory + 24, &ways, 8);
    memcpy(memory + 32, &idle, 8);
    if (below(16) == 0) memory[below(40)] ^= (uint8_t)(1 << below(8));
    if (!sd_open_learned(learned, memory, below(16) ? size : below(size))) {
        free(memory);
        return NULL;
    }
    sd_hash(&learned->hash, (const uint8_t *)"learn_hdr x-key", 16, (const uint8_t *)"alice", 5, h);
    for (size_t at = 0; at < sets * ways; at++) {
        words[at] = below(2) ? h[0] : chance();
        words[sets * ways + at] = (h[1] & ~(uint64_t)0xffff) | below(below(2) ? 16 : 1 << 17);
        words[2 * sets * ways + at] = below(4) ? sd_microseconds() : chance();
    }
    return memory;
}

static uint64_t learned_found;

/* Each text in a buffer of its size, as a Cookie, a Set-Cookie and lines of an answer. */
static void ids(const sd_placer *placer, const uint8_t *data, size_t size) {
    uint8_t *text = room_for(size), *room = room_for(size);
    if (size) memcpy(text, data, size);
    sd_span value = {text, size}, left = sd_without_cookie(value, "sid", 3, room);
    if (left.data != NULL && (left.size >= size || left.data + left.size > room + size))
        fail("a cookie that was taken out is still there");
    sd_stored_cookie(value, "sid", 3);
    sd_hands_out_news(placer, slots[0], text, size);
    free(room);
    free(text);
}

static void place(sd_placer *placer, const uint8_t *data, const sd_head *head) {
    static const sd_source sources[] = {
        {SD_SOURCE_XFF, "", 0, NULL, 0},       {SD_SOURCE_FORWARDED, "", 0, NULL, 0},
        {SD_SOURCE_SRC, "", 0, NULL, 0},       {SD_SOURCE_HDR, "x-key", 5, NULL, 0},
        {SD_SOURCE_COOKIE, "sid", 3, NULL, 0}, {SD_SOURCE_URL_PARAM, "sid", 3, NULL, 0},
        {SD_SOURCE_SOCKETIO, "", 0, NULL, 0},  {SD_SOURCE_SOCKJS, "", 0, NULL, 0},
        {SD_SOURCE_INSERT, "sid", 3, NULL, 0}, {SD_SOURCE_LEAST, "", 0, NULL, 0},
        {SD_SOURCE_LEARN_HDR, "x-key", 5, (const uint8_t *)"learn_hdr x-key", 16},
        {SD_SOURCE_LEARN_COOKIE, "sid", 3, (const uint8_t *)"learn_cookie sid", 17},
    };
    static const char *const peers[] = {"", "127.0.0.1", "10.0.0.9", "2001:db8::1", "::"};
    sd_source chain[3];
    sd_placement placement;
    sd_address peer = {0, {0}};
    const char *text = peers[below(COUNT_OF(peers))];
    const uint8_t *start = (const uint8_t *)text, *end = start + strlen(text);
    if (!sd_read_address(&peer, start, end)) peer.size = 0;
    placer->sources = 1 + below(COUNT_OF(chain));
    for (size_t at = 0; at < placer->sources; at++) chain[at] = sources[below(COUNT_OF(sources))];
    placer->chain = chain;
    placer->trust.everyone = below(4) == 0;
    placer->trust.unix_peers = below(2);
    placer->trust.count = below(COUNT_OF(networks) + 1);
    placer->slot_count = 1 + below(COUNT_OF(slots));
    if (placer->slot_count != COUNT_OF(slots)) placer->slot_count = 2;
    /* Owners hold for one set of slots only. */
    static uint16_t owners[2][SD_BUCKETS];
    placer->owners = owners[placer->slot_count == 2];
    uint8_t *memory = any_table(&placer->learned);
    sd_place(placer, head, data, &peer, &placement);
    for (uint32_t at = 0; at < head->count; at++)
        ids(placer, data + head->fields[at].value, head->fields[at].value_size);
    ids(placer, data, head->size);
    free(memory);
    if (placement.where != SD_PLACED) return;
    learned_found += chain[placement.source].kind == SD_SOURCE_LEARN_HDR;
    for (size_t at = 0; at < placer->slot_count; at++)
        if (slots[at] == placement.slot) return;
    fail("a slot that is not in the table");
}

int main(int count, char **arguments) {
    uint64_t inputs = count > 1 ? strtoull(arguments[1], NULL, 10) : 100000;
    uint64_t verdicts[3] = {0};
    sd_placer placer;
    uint8_t key[16] = {0}, person[16] = "stickyd-1";
    state = count > 2 ? strtoull(arguments[2], NULL, 10) : 1;
    key[15] = 1;
    sd_set_key(&placer.hash, 8, key, sizeof key, person);
    sd_set_key(&placer.tag, 7, key, sizeof key, person);
    placer.slots = slots;
    placer.trust.networks = networks;
    networks[0] = (sd_network){4, {10}, {0xff}};
    networks[1] = (sd_network){16, {0}, {0}};
    networks[2] = (sd_network){4, {127, 0, 0, 1}, {0xff, 0xff, 0xff, 0xff}};

    for (uint64_t number = 0; number < inputs; number++) {
        const piece *head_of = &heads[below(COUNT_OF(heads))];
        memcpy(input, head_of->text, head_of->size);
        input_size = head_of->size;
        for (size_t times = below(5); times-- > 0;) mutate();
        sd_limits limits = {8190, 100, 8190, 32768};
        if (below(4) == 0)
            limits = (sd_limits){14 + (uint32_t)below(40), 1 + (uint32_t)below(6),
                                 5 + (uint32_t)below(60), 30 + (uint32_t)below(200)};
        if (below(8) == 0) limits = (sd_limits){SD_SIZE_MOST, 1000, SD_SIZE_MOST, SD_SIZE_MOST};

        uint8_t *data = exact(input_size);
        sd_head *head = malloc(sizeof *head), *other = malloc(sizeof *other);
        if (head == NULL || other == NULL) abort();
        sd_verdict verdict = sd_read_head(data, input_size, 0, &limits, head);
        verdicts[verdict]++;
        if (verdict == SD_HEAD) {
            check_head(data, head);
            place(&placer, data, head);
        }
        /* The same bytes in pieces. */
        sd_verdict then = SD_INCOMPLETE;
        for (size_t seen = 0; seen < input_size && then == SD_INCOMPLETE;) {
            size_t size = seen + 1 + below(below(4) ? input_size - seen : 3);
            if (size > input_size) size = input_size;
            uint8_t *part = exact(size);
            then = sd_read_head(part, size, seen, &limits, other);
            free(part);
            seen = size;
        }
        /* Without a new line ending only lengths are looked at, so more may be incomplete. */
        if (input_size && then != verdict && !(verdict == SD_UNUSUAL && then == SD_INCOMPLETE))
            fail("another verdict when it comes in pieces");
        if (then == SD_HEAD && other->size != head->size) fail("another head in pieces");
        free(other);
        free(head);
        free(data);
    }
    if (inputs >= 100000 && !learned_found) fail("no learned id was found");
    printf("%llu inputs: %llu heads, %llu incomplete, %llu for Python; %llu by learned ids\n",
           (unsigned long long)inputs, (unsigned long long)verdicts[SD_HEAD],
           (unsigned long long)verdicts[SD_INCOMPLETE], (unsigned long long)verdicts[SD_UNUSUAL],
           (unsigned long long)learned_found);
    return 0;
}
