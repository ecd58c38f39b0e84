"""Cases of chunked bodies (RFC 9112, section 7.1) and of the bound on bodies."""

from tests.corpus.case import (
    BODY_LIMIT,
    GET,
    HELLO,
    LAST,
    POSTED,
    SMUGGLED,
    Table,
    bad_chunks,
    begun,
    chunked,
    echo,
    get,
    good_chunks,
    post,
    refused,
    served,
    sized,
)

CHUNK: Table = good_chunks(
    {
        "no_data": (LAST, b""),
        "one": (b"5\r\nhello\r\n" + LAST, HELLO),
        "two": (b"4\r\nhell\r\n1\r\no\r\n" + LAST, HELLO),
        "of_one_byte_each": (b"".join(b"1\r\n%c\r\n" % c for c in HELLO) + LAST, HELLO),
        "upper_case_size": (b"A\r\n0123456789\r\n" + LAST, b"0123456789"),
        "lower_case_size": (b"a\r\n0123456789\r\n" + LAST, b"0123456789"),
        "leading_zeros": (b"0005\r\nhello\r\n" + LAST, HELLO),
        "fifteen_digits": (b"000000000000005\r\nhello\r\n" + LAST, HELLO),
        "many_zeros_at_the_end": (b"5\r\nhello\r\n000\r\n\r\n", HELLO),
        "line_endings_are_data": (b"4\r\n\r\n\r\n\r\n" + LAST, b"\r\n\r\n"),
        "a_last_chunk_is_data": (b"5\r\n" + LAST + b"\r\n" + LAST, LAST),
        "a_request_is_data": (
            b"%x\r\n%b\r\n" % (len(SMUGGLED), SMUGGLED) + LAST,
            SMUGGLED,
        ),
        "every_byte_is_data": (
            b"100\r\n" + bytes(range(256)) + b"\r\n" + LAST,
            bytes(range(256)),
        ),
        "four_thousand_bytes": (b"fa0\r\n" + b"x" * 4000 + b"\r\n" + LAST, b"x" * 4000),
    }
)

CHUNK_SIZE: Table = bad_chunks(
    {
        "hex_prefix": b"0x5\r\nhello\r\n" + LAST,
        "hex_prefix_in_capitals": b"0X5\r\nhello\r\n" + LAST,
        "hex_prefix_of_the_last_chunk": b"0x0\r\n\r\n",
        "hex_suffix": b"5h\r\nhello\r\n" + LAST,
        "plus": b"+5\r\nhello\r\n" + LAST,
        "minus": b"-5\r\nhello\r\n" + LAST,
        "minus_zero": b"-0\r\n\r\n",
        "plus_zero": b"+0\r\n\r\n",
        "not_hexadecimal": b"g\r\nhello\r\n" + LAST,
        "letter_behind": b"5g\r\nhello\r\n" + LAST,
        "underscore": b"1_0\r\n0123456789abcdef\r\n" + LAST,
        "fraction": b"5.0\r\nhello\r\n" + LAST,
        "comma": b"5,5\r\nhello\r\n" + LAST,
        "quoted": b'"5"\r\nhello\r\n' + LAST,
        "empty": b"\r\nhello\r\n" + LAST,
        "blank_only": b" \r\nhello\r\n" + LAST,
        "extension_only": b";a=b\r\nhello\r\n" + LAST,
        "blank_before": b" 5\r\nhello\r\n" + LAST,
        "blank_behind": b"5 \r\nhello\r\n" + LAST,
        "blanks_behind": b"5   \r\nhello\r\n" + LAST,
        "tab_before": b"\t5\r\nhello\r\n" + LAST,
        "tab_behind": b"5\t\r\nhello\r\n" + LAST,
        "vertical_tab_behind": b"5\x0b\r\nhello\r\n" + LAST,
        "blank_within": b"1 0\r\n0123456789abcdef\r\n" + LAST,
        "blank_behind_the_last": b"0 \r\n\r\n",
        "blank_before_the_extension": b"5 ;a\r\nhello\r\n" + LAST,
        "tab_before_the_extension": b"5\t;a\r\nhello\r\n" + LAST,
        "nul_behind": b"5\0\r\nhello\r\n" + LAST,
        "cr_behind": b"5\r\r\nhello\r\n" + LAST,
        "sixteen_digits": b"0000000000000005\r\nhello\r\n" + LAST,
        "sixteen_zeros": b"0000000000000000\r\n\r\n",
        "beyond_64_bits": b"10000000000000005\r\nhello\r\n" + LAST,
        "beyond_32_bits": b"0000000100000005\r\nhello\r\n" + LAST,
        "all_of_64_bits": b"ffffffffffffffff\r\nhello\r\n" + LAST,
        "negative_in_64_bits": b"fffffffffffffffe\r\nhello\r\n" + LAST,
        "five_thousand_digits": b"0" * 5000 + b"5\r\nhello\r\n" + LAST,
        "full_width_digit": b"\xef\xbc\x95\r\nhello\r\n" + LAST,
        "of_the_second_chunk": b"5\r\nhello\r\n0x1\r\n!\r\n" + LAST,
    }
)

CHUNK_FRAMING: Table = {
    **bad_chunks(
        {
            "lf_behind_the_size": b"5\nhello\r\n" + LAST,
            "lf_behind_the_data": b"5\r\nhello\n" + LAST,
            "lf_behind_the_last_size": b"0\n\r\n",
            "lf_as_the_empty_line": b"0\r\n\n",
            "lf_everywhere": b"5\nhello\n0\n\n",
            "lf_first": b"\n5\r\nhello\r\n" + LAST,
            "crlf_first": b"\r\n5\r\nhello\r\n" + LAST,
            "cr_behind_the_size": b"5\rhello\r\n" + LAST,
            "cr_for_lf": b"5\rXhello\r\n" + LAST,
            "cr_behind_the_data": b"5\r\nhello\r" + LAST,
            "lf_cr_behind_the_data": b"5\r\nhello\n\r" + LAST,
            "two_line_endings_behind_the_data": b"5\r\nhello\r\n\r\n" + LAST,
            "two_bytes_that_are_no_line_ending": b"5\r\nhelloXX" + LAST,
            "data_longer_than_the_size": b"4\r\nhello\r\n" + LAST,
            "data_much_longer": b"1\r\nhello\r\n" + LAST,
            "data_shorter_than_the_size": b"6\r\nhello\r\n" + LAST,
            "data_shorter_by_its_line_ending": b"7\r\nhello\r\n" + LAST,
            "no_line_ending_behind_the_data": b"5\r\nhello" + LAST,
            "data_of_the_last_chunk": b"0\r\nhello\r\n\r\n",
            "no_size_for_the_second_chunk": b"5\r\nhello\r\nworld\r\n" + LAST,
            "no_framing_at_all": b"hello, world\r\n",
        }
    ),
    "lf_head_and_lf_chunks": refused(
        b"POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n5\nhello\n0\n\n"
    ),
    "on_the_second_request": refused(
        chunked(b"5\r\nhello\r\n" + LAST) + chunked(b"5\nhello\r\n" + LAST), 400, POSTED
    ),
    "a_request_for_the_last_chunk": refused(chunked(b"5\r\nhello\r\n") + SMUGGLED),
}

CHUNK_EXTENSION: Table = {
    **good_chunks(
        {
            "name": (b"5;a\r\nhello\r\n" + LAST, HELLO),
            "value": (b"5;a=b\r\nhello\r\n" + LAST, HELLO),
            "quoted": (b'5;a="b c"\r\nhello\r\n' + LAST, HELLO),
            "several": (b"5;a;b=c;d=e\r\nhello\r\n" + LAST, HELLO),
            "of_the_last_chunk": (b"5\r\nhello\r\n0;a=b\r\n\r\n", HELLO),
            "blank_behind_the_semicolon": (b"5; a=b\r\nhello\r\n" + LAST, HELLO),
        }
    ),
    **bad_chunks(
        {
            "comma": b"5,a\r\nhello\r\n" + LAST,
            "no_semicolon": b"5 a=b\r\nhello\r\n" + LAST,
            "nul": b"5;a\0\r\nhello\r\n" + LAST,
            "cr": b"5;a\rb\r\nhello\r\n" + LAST,
            "lf": b"5;a\nb\r\nhello\r\n" + LAST,
            "lf_at_its_end": b"5;a\nhello\r\n" + LAST,
            "lf_in_quotes": b'5;a="\n"\r\nhello\r\n' + LAST,
            "escape": b"5;a\x1b\r\nhello\r\n" + LAST,
            "del": b"5;a\x7f\r\nhello\r\n" + LAST,
            "too_long": b"5;" + b"x" * 5000 + b"\r\nhello\r\n" + LAST,
        }
    ),
    "that_never_ends": begun(chunked(b"5;" + b"x" * 5000)),
}

TRAILER: Table = {
    **good_chunks(
        {
            "one": (b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", HELLO),
            "several": (b"0\r\nA: b\r\nC:\r\nD:\te \r\n\r\n", b""),
            "obs_text": (b"0\r\nA: \xfc\r\n\r\n", b""),
            "as_long_as_allowed": (b"0\r\nA: " + b"b" * 8187 + b"\r\n\r\n", b""),
        }
    ),
    # A trailer field must not change what the head said (RFC 9110, 6.5.1).
    "is_dropped": served(
        chunked(b"0\r\nX-Test: y\r\nX-Forwarded-For: 10.9.9.9\r\n\r\n"),
        echo("POST", "/", b"", "!x-test", "!x-forwarded-for"),
    ),
    "content_length_is_dropped": served(
        chunked(b"5\r\nhello\r\n0\r\nContent-Length: 99\r\n\r\n") + get(), POSTED, GET
    ),
    "transfer_encoding_is_dropped": served(
        chunked(b"5\r\nhello\r\n0\r\nTransfer-Encoding: x\r\n\r\n") + get(), POSTED, GET
    ),
    "host_is_dropped": served(
        chunked(b"0\r\nHost: b.example\r\n\r\n"), echo("POST", "/", b"", host=b"a.example")
    ),
    "connection_is_dropped": served(chunked(b"0\r\nConnection: close\r\n\r\n"), echo("POST")),
    **bad_chunks(
        {
            "no_colon": b"0\r\nA\r\n\r\n",
            "blank_before_the_colon": b"0\r\nA : b\r\n\r\n",
            "fold": b"0\r\nA: b\r\n c\r\n\r\n",
            "fold_first": b"0\r\n A: b\r\n\r\n",
            "empty_name": b"0\r\n: b\r\n\r\n",
            "blank_in_the_name": b"0\r\nA B: c\r\n\r\n",
            "separator_in_the_name": b"0\r\nA(B: c\r\n\r\n",
            "nul": b"0\r\nA: \0\r\n\r\n",
            "cr": b"0\r\nA: b\rc\r\n\r\n",
            "lf": b"0\r\nA: b\nC: d\r\n\r\n",
            "lf_behind": b"0\r\nA: b\n\r\n",
            "lf_as_the_empty_line": b"0\r\nA: b\r\n\n",
            "del": b"0\r\nA: \x7f\r\n\r\n",
            "vertical_tab": b"0\r\nA: \x0b\r\n\r\n",
            "is_a_request": b"0\r\nGET /smuggled HTTP/1.1\r\n\r\n",
        }
    ),
    "one_byte_too_long": refused(chunked(b"0\r\nA: " + b"b" * 8188 + b"\r\n\r\n"), 431),
    "one_byte_too_long_in_two": refused(
        chunked(b"0\r\nA: " + b"b" * 4091 + b"\r\nB: " + b"b" * 4092 + b"\r\n\r\n"), 431
    ),
    "too_many": refused(chunked(b"0\r\n" + b"A: b\r\n" * 2000 + b"\r\n"), 431),
}

BODY_SIZE: Table = {
    "length_at_the_limit": served(sized(b"x" * BODY_LIMIT), echo("POST", "/", b"x" * BODY_LIMIT)),
    "length_beyond_by_one": begun(post(b"Content-Length: %d" % (BODY_LIMIT + 1)), 413),
    "length_beyond_with_its_body": refused(sized(b"x" * (BODY_LIMIT + 1)), 413),
    "length_of_eighteen_nines": begun(post(b"Content-Length: " + b"9" * 18), 413),
    "length_beyond_expecting_to_continue": begun(
        post(b"Content-Length: 999999", b"Expect: 100-continue"), 413
    ),
    "chunks_at_the_limit": served(
        chunked(b"2710\r\n%b\r\n2710\r\n%b\r\n" % (b"x" * 10000, b"y" * 10000) + LAST),
        echo("POST", "/", b"x" * 10000 + b"y" * 10000),
    ),
    "chunks_beyond_by_one": refused(
        chunked(b"2710\r\n%b\r\n2711\r\n%b\r\n" % (b"x" * 10000, b"y" * 10001) + LAST), 413
    ),
    "chunk_beyond_before_its_data": begun(chunked(b"4e21\r\n"), 413),
    "chunk_of_fifteen_digits": begun(chunked(b"fffffffffffffff\r\n"), 413),
    "on_the_second_request": refused(
        get() + post(b"Content-Length: %d" % (BODY_LIMIT + 1)), 413, GET
    ),
}
