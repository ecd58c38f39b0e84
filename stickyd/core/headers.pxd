"""The C headers, for Cython."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "head.h" nogil:
    enum:
        SD_FIELDS_MOST
        SD_SIZE_MOST

    ctypedef enum sd_verdict:
        SD_INCOMPLETE
        SD_HEAD
        SD_UNUSUAL

    ctypedef enum sd_field_id:
        SD_OTHER_FIELD
        SD_HOST
        SD_CONNECTION
        SD_CONTENT_LENGTH
        SD_TRANSFER_ENCODING
        SD_EXPECT
        SD_UPGRADE
        SD_X_FORWARDED_FOR
        SD_X_FORWARDED_PROTO
        SD_FORWARDED
        SD_COOKIE

    enum:
        SD_KEEP_ALIVE
        SD_SAYS_CLOSE
        SD_SAYS_KEEP_ALIVE
        SD_SAYS_UPGRADE
        SD_HAS_CONNECTION
        SD_HAS_UPGRADE
        SD_HAS_LENGTH
        SD_HAS_COOKIE

    ctypedef struct sd_limits:
        uint32_t request_line
        uint32_t fields
        uint32_t field_size
        uint32_t head

    ctypedef struct sd_field:
        uint32_t name
        uint32_t name_size
        uint32_t value
        uint32_t value_size
        uint32_t hash
        uint32_t id

    ctypedef struct sd_head:
        uint32_t method_size
        uint32_t target
        uint32_t target_size
        uint32_t minor
        uint32_t size
        uint32_t flags
        uint32_t count
        int64_t length
        sd_field fields[SD_FIELDS_MOST]

    enum:
        SD_TCHAR
        SD_REG_NAME

    const uint8_t sd_bytes[256]
    uint8_t sd_lower(uint8_t byte)
    bint sd_same_name(const uint8_t *bytes, const char *lower, size_t size)
    sd_verdict sd_read_head(
        const uint8_t *data, size_t size, size_t scanned, const sd_limits *limits, sd_head *head
    )


cdef extern from "blake2b.h" nogil:
    ctypedef struct sd_keyed:
        pass

    void sd_set_key(
        sd_keyed *keyed, uint32_t digest_size, const uint8_t *key, size_t key_size,
        const uint8_t *person
    )
    uint64_t sd_digest(const sd_keyed *keyed, const uint8_t *message, size_t size)


cdef extern from "ids.h" nogil:
    ctypedef struct sd_learned:
        uint64_t *words
        uint64_t ways

    bint sd_open_learned(sd_learned *learned, uint8_t *memory, size_t size)
    uint16_t sd_find_learned(
        const sd_learned *learned, const uint8_t *prefix, size_t prefix_size, const uint8_t *id,
        size_t size, uint64_t now
    )


cdef extern from "address.h" nogil:
    ctypedef struct sd_address:
        uint32_t size
        uint8_t bytes[16]

    ctypedef struct sd_network:
        uint32_t size
        uint8_t base[16]
        uint8_t mask[16]

    ctypedef struct sd_trust:
        bint everyone
        bint unix_peers
        size_t count
        const sd_network *networks

    ctypedef enum sd_walked:
        SD_NOBODY
        SD_CLIENT
        SD_ASK

    enum:
        SD_TEXT_MOST

    void sd_address_of(sd_address *address, const uint8_t *bytes, uint32_t size)
    size_t sd_address_text(const sd_address *address, char *text)
    bint sd_read_ipv4(sd_address *address, const uint8_t *at, const uint8_t *end)
    bint sd_read_ipv6(sd_address *address, const uint8_t *at, const uint8_t *end)
    bint sd_is_trusted(const sd_trust *trust, const sd_address *address)
    sd_walked sd_client_of_xff(
        const sd_trust *trust, const sd_head *head, const uint8_t *data, const sd_address *peer,
        sd_address *client
    )


cdef extern from "placer.h" nogil:
    enum:
        SD_BUCKETS

    ctypedef enum sd_where:
        SD_ASK_POLICY
        SD_ANYWHERE
        SD_BY_LOAD
        SD_PLACED

    ctypedef enum sd_source_kind:
        SD_SOURCE_XFF
        SD_SOURCE_FORWARDED
        SD_SOURCE_SRC
        SD_SOURCE_HDR
        SD_SOURCE_COOKIE
        SD_SOURCE_URL_PARAM
        SD_SOURCE_SOCKETIO
        SD_SOURCE_SOCKJS
        SD_SOURCE_INSERT
        SD_SOURCE_LEARN_HDR
        SD_SOURCE_LEARN_COOKIE
        SD_SOURCE_LEAST

    ctypedef struct sd_source:
        sd_source_kind kind
        const char *name
        size_t name_size
        const uint8_t *prefix
        size_t prefix_size

    ctypedef struct sd_placer:
        sd_keyed hash
        sd_keyed tag
        sd_trust trust
        const sd_source *chain
        size_t sources
        const uint16_t *slots
        size_t slot_count
        uint16_t *owners
        sd_learned learned

    ctypedef struct sd_placement:
        sd_where where
        uint32_t slot
        uint32_t source
        bint declared
        uint64_t digest

    uint8_t sd_source_number(const sd_placement *placement)
    void sd_place(
        const sd_placer *placer, const sd_head *head, const uint8_t *data, const sd_address *peer,
        sd_placement *placement
    )
    uint16_t sd_slot_of_cookies(
        const sd_placer *placer, const sd_source *source, const sd_head *head, const uint8_t *data
    )


cdef extern from "answer_ids.h" nogil:
    ctypedef struct sd_span:
        const uint8_t *data
        size_t size

    sd_span sd_without_cookie(sd_span value, const char *name, size_t name_size, uint8_t *room)
    sd_span sd_stored_cookie(sd_span value, const char *name, size_t name_size)
    bint sd_hands_out_news(
        const sd_placer *placer, uint16_t slot, const uint8_t *data, size_t size
    )
