"""Cases of Content-Length and Transfer-Encoding (RFC 9112, section 6)."""

from tests.corpus.case import (
    GET,
    HELLO,
    LAST,
    POSTED,
    SMUGGLED,
    Table,
    bad_framing,
    chunked,
    echo,
    ends,
    get,
    post,
    refused,
    served,
    sized,
)

CONTENT_LENGTH: Table = {
    "five": served(sized(HELLO), POSTED),
    "zero": served(post(b"Content-Length: 0"), echo("POST")),
    "zero_then_a_request": served(post(b"Content-Length: 0") + get(), echo("POST"), GET),
    "leading_zeros": served(post(b"Content-Length: 005") + HELLO, POSTED),
    "eighteen_digits": served(post(b"Content-Length: %018d" % 5) + HELLO, POSTED),
    "any_case": served(post(b"cOnTeNt-LeNgTh: 5") + HELLO, POSTED),
    "no_blank": served(post(b"Content-Length:5") + HELLO, POSTED),
    "blanks_around": served(post(b"Content-Length: \t5\t ") + HELLO, POSTED),
    "body_of_get": served(get(b"Content-Length: 5") + HELLO, echo("GET", "/", HELLO)),
    "body_of_delete": served(
        get(b"Content-Length: 5", first=b"DELETE / HTTP/1.1") + HELLO, echo("DELETE", "/", HELLO)
    ),
    "body_of_head": served(
        get(b"Content-Length: 5", first=b"HEAD / HTTP/1.1") + HELLO + get(),
        echo("HEAD", "/", HELLO),
        GET,
    ),
    "body_of_an_unknown_method": served(
        get(b"Content-Length: 5", first=b"BREW / HTTP/1.1") + HELLO, echo("BREW", "/", HELLO)
    ),
    "on_http_1_0": ends("close", post(b"Content-Length: 5", minor=0) + HELLO, POSTED),
    "body_is_a_request": served(sized(SMUGGLED), echo("POST", "/", SMUGGLED)),
    "body_is_two_requests": served(sized(SMUGGLED * 2), echo("POST", "/", SMUGGLED * 2)),
    "body_is_a_request_then_a_request": served(
        sized(SMUGGLED) + get(), echo("POST", "/", SMUGGLED), GET
    ),
    "body_is_chunks": served(sized(LAST + SMUGGLED), echo("POST", "/", LAST + SMUGGLED)),
    "body_of_every_byte": served(sized(bytes(range(256))), echo("POST", "/", bytes(range(256)))),
    "body_of_line_endings": served(sized(b"\r\n\r\n\n\n"), echo("POST", "/", b"\r\n\r\n\n\n")),
    "body_of_ten_thousand": served(
        sized(b"0123456789" * 1000), echo("POST", "/", b"0123456789" * 1000)
    ),
    **bad_framing(
        {
            "twice": (b"Content-Length: 5", b"Content-Length: 6"),
            "twice_the_same": (b"Content-Length: 5", b"Content-Length: 5"),
            "twice_in_other_case": (b"Content-Length: 5", b"content-length: 5"),
            "twice_far_apart": (b"Content-Length: 5", b"X: y", b"Content-Length: 5"),
            "twice_zero": (b"Content-Length: 0", b"Content-Length: 0"),
            "twice_and_one_is_malformed": (b"Content-Length: x", b"Content-Length: 5"),
            "twice_and_one_is_empty": (b"Content-Length: 5", b"Content-Length:"),
            "list": (b"Content-Length: 5, 6",),
            "list_of_the_same": (b"Content-Length: 5, 5",),
            "list_without_blank": (b"Content-Length: 5,5",),
            "list_with_an_empty_member": (b"Content-Length: 5,",),
            "list_with_an_empty_member_first": (b"Content-Length: ,5",),
            "empty": (b"Content-Length:",),
            "blanks_only": (b"Content-Length: \t",),
            "plus": (b"Content-Length: +5",),
            "minus": (b"Content-Length: -5",),
            "minus_zero": (b"Content-Length: -0",),
            "minus_one": (b"Content-Length: -1",),
            "hexadecimal": (b"Content-Length: 0x5",),
            "hexadecimal_letter": (b"Content-Length: a",),
            "octal": (b"Content-Length: 0o5",),
            "letters": (b"Content-Length: five",),
            "fraction": (b"Content-Length: 5.0",),
            "exponent": (b"Content-Length: 5e0",),
            "underscore": (b"Content-Length: 5_0",),
            "blank_inside": (b"Content-Length: 5 0",),
            "tab_inside": (b"Content-Length: 5\t0",),
            "parameter": (b"Content-Length: 5;a=b",),
            "letter_behind": (b"Content-Length: 5x",),
            "quoted": (b'Content-Length: "5"',),
            "vertical_tab_before": (b"Content-Length: \x0b5",),
            "nul_behind": (b"Content-Length: 5\0",),
            "cr_behind": (b"Content-Length: 5\r",),
            "no_break_space_before": (b"Content-Length: \xa05",),
            "superscript": (b"Content-Length: \xb2",),
            "utf_8_digit": (b"Content-Length: \xd9\xa5",),
            "full_width_digit": (b"Content-Length: \xef\xbc\x95",),
            "nineteen_digits": (b"Content-Length: %019d" % 5,),
            "beyond_64_bits": (b"Content-Length: 18446744073709551621",),
            "beyond_32_bits_squared": (b"Content-Length: 99999999999999999999",),
            "five_thousand_digits": (b"Content-Length: " + b"9" * 5000,),
        }
    ),
    "twice_on_http_1_0": refused(post(b"Content-Length: 5", b"Content-Length: 5", minor=0) + HELLO),
    "malformed_on_get": refused(get(b"Content-Length: x")),
}

TRANSFER_ENCODING: Table = {
    "chunked": served(chunked(b"5\r\nhello\r\n" + LAST), POSTED),
    "capitals": served(post(b"TRANSFER-ENCODING: CHUNKED") + b"5\r\nhello\r\n" + LAST, POSTED),
    "mixed_case": served(post(b"Transfer-Encoding: chUNked") + b"5\r\nhello\r\n" + LAST, POSTED),
    "no_blank": served(post(b"Transfer-Encoding:chunked") + b"5\r\nhello\r\n" + LAST, POSTED),
    "blanks_around": served(
        post(b"Transfer-Encoding: \tchunked \t") + b"5\r\nhello\r\n" + LAST, POSTED
    ),
    "of_get": served(
        get(b"Transfer-Encoding: chunked") + b"5\r\nhello\r\n" + LAST, echo("GET", "/", HELLO)
    ),
    "of_head": served(
        get(b"Transfer-Encoding: chunked", first=b"HEAD / HTTP/1.1") + b"5\r\nhello\r\n" + LAST,
        echo("HEAD", "/", HELLO),
    ),
    "te_is_another_field": served(post(b"TE: chunked") + get(), echo("POST"), GET),
    "content_encoding_is_another_field": served(
        post(b"Content-Encoding: chunked") + get(), echo("POST"), GET
    ),
    "body_is_a_request": served(
        chunked(b"%x\r\n%b\r\n" % (len(SMUGGLED), SMUGGLED) + LAST), echo("POST", "/", SMUGGLED)
    ),
    **bad_framing(
        {
            "identity": (b"Transfer-Encoding: identity",),
            "gzip": (b"Transfer-Encoding: gzip",),
            "x_gzip": (b"Transfer-Encoding: x-gzip",),
            "deflate": (b"Transfer-Encoding: deflate",),
            "compress": (b"Transfer-Encoding: compress",),
            "unknown": (b"Transfer-Encoding: cow",),
            "empty": (b"Transfer-Encoding:",),
            "blanks_only": (b"Transfer-Encoding:  ",),
            "gzip_then_chunked": (b"Transfer-Encoding: gzip, chunked",),
            "chunked_then_gzip": (b"Transfer-Encoding: chunked, gzip",),
            "identity_then_chunked": (b"Transfer-Encoding: identity, chunked",),
            "chunked_then_identity": (b"Transfer-Encoding: chunked, identity",),
            "chunked_twice": (b"Transfer-Encoding: chunked, chunked",),
            "chunked_on_two_lines": (b"Transfer-Encoding: chunked",) * 2,
            "gzip_and_chunked_on_two_lines": (
                b"Transfer-Encoding: gzip",
                b"Transfer-Encoding: chunked",
            ),
            "chunked_and_identity_on_two_lines": (
                b"Transfer-Encoding: chunked",
                b"Transfer-Encoding: identity",
            ),
            "chunked_and_empty_on_two_lines": (
                b"Transfer-Encoding: chunked",
                b"Transfer-Encoding:",
            ),
            "comma_behind": (b"Transfer-Encoding: chunked,",),
            "comma_before": (b"Transfer-Encoding: ,chunked",),
            "parameter": (b"Transfer-Encoding: chunked;q=1",),
            "semicolon": (b"Transfer-Encoding: chunked;",),
            "quoted": (b'Transfer-Encoding: "chunked"',),
            "single_quoted": (b"Transfer-Encoding: 'chunked'",),
            "a_letter_too_many": (b"Transfer-Encoding: xchunked",),
            "a_letter_behind": (b"Transfer-Encoding: chunkedx",),
            "cut_short": (b"Transfer-Encoding: chunke",),
            "two_words": (b"Transfer-Encoding: chunked chunked",),
            "blank_inside": (b"Transfer-Encoding: chun ked",),
            "vertical_tab_before": (b"Transfer-Encoding: \x0bchunked",),
            "vertical_tab_behind": (b"Transfer-Encoding: chunked\x0b",),
            "form_feed_behind": (b"Transfer-Encoding: chunked\x0c",),
            "nul_behind": (b"Transfer-Encoding: chunked\0",),
            "cr_before": (b"Transfer-Encoding:\rchunked",),
            "cr_behind": (b"Transfer-Encoding: chunked\r",),
            "del_behind": (b"Transfer-Encoding: chunked\x7f",),
            "no_break_space_before": (b"Transfer-Encoding: \xa0chunked",),
            "obs_text_behind": (b"Transfer-Encoding: chunked\xff",),
            "kelvin_sign": (b"Transfer-Encoding: chun\xe2\x84\xaaed",),
            "colon_twice": (b"Transfer-Encoding:: chunked",),
            "name_in_two_words": (b"Transfer Encoding: chunked",),
            "blank_before_the_name": (b" Transfer-Encoding: chunked",),
            "behind_a_bare_lf": (b"X: y\nTransfer-Encoding: chunked",),
            "behind_a_bare_cr": (b"X: y\rTransfer-Encoding: chunked",),
        }
    ),
    "chunked_on_http_1_0": refused(
        post(b"Transfer-Encoding: chunked", minor=0) + b"5\r\nhello\r\n" + LAST
    ),
    "chunked_on_http_1_0_kept_alive": refused(
        post(b"Transfer-Encoding: chunked", b"Connection: keep-alive", minor=0) + LAST
    ),
    "identity_on_http_1_0": refused(post(b"Transfer-Encoding: identity", minor=0)),
}

BOTH_FRAMINGS: Table = {
    **bad_framing(
        {
            "length_first": (b"Content-Length: 5", b"Transfer-Encoding: chunked"),
            "length_last": (b"Transfer-Encoding: chunked", b"Content-Length: 5"),
            "length_zero": (b"Content-Length: 0", b"Transfer-Encoding: chunked"),
            "length_that_fits_both": (b"Content-Length: 10", b"Transfer-Encoding: chunked"),
            "length_malformed": (b"Content-Length: x", b"Transfer-Encoding: chunked"),
            "length_empty": (b"Content-Length:", b"Transfer-Encoding: chunked"),
            "length_twice": (
                b"Content-Length: 5",
                b"Transfer-Encoding: chunked",
                b"Content-Length: 5",
            ),
            "coding_unknown": (b"Content-Length: 5", b"Transfer-Encoding: cow"),
            "coding_identity": (b"Content-Length: 5", b"Transfer-Encoding: identity"),
            "coding_empty": (b"Content-Length: 5", b"Transfer-Encoding:"),
            "coding_twice": (
                b"Transfer-Encoding: chunked",
                b"Content-Length: 5",
                b"Transfer-Encoding: identity",
            ),
            "other_case": (b"CONTENT-LENGTH: 5", b"transfer-encoding: chunked"),
            "far_apart": (b"Content-Length: 5", b"X: y", b"Transfer-Encoding: chunked"),
        }
    ),
    "on_http_1_0": refused(
        post(b"Content-Length: 5", b"Transfer-Encoding: chunked", minor=0) + HELLO
    ),
    "in_lf": refused(
        b"POST / HTTP/1.1\nHost: a\nContent-Length: 5\nTransfer-Encoding: chunked\n\n" + LAST
    ),
    "smuggled_behind_the_last_chunk": refused(
        post(b"Content-Length: %d" % len(LAST + SMUGGLED), b"Transfer-Encoding: chunked")
        + LAST
        + SMUGGLED
    ),
    "smuggled_behind_the_length": refused(
        post(b"Content-Length: 4", b"Transfer-Encoding: chunked")
        + b"%x\r\n%b\r\n" % (len(SMUGGLED), SMUGGLED)
        + LAST
    ),
    "on_the_second_request": refused(
        get() + post(b"Content-Length: 5", b"Transfer-Encoding: chunked") + LAST, 400, GET
    ),
}
