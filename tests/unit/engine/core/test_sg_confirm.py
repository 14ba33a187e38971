"""Numbers that patterns find, confirmed by their check digits: as written, grouped, near misses, and against naive oracles."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

CARD, IBAN, US_SSN, ES_DNI, BR_CPF = range(2, 7)


def confirms(module: Any, kind: int, text: str) -> bool:
    """What is handed in lies in memory of its own size."""
    data = text.encode("latin-1")
    return bool(
        module.lib.sg_confirm(kind, module.ffi.new("uint8_t[]", data), len(data))
    )


CARDS = (
    "4111111111111111",
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    "4111+1111+1111+1111",
    "4111%201111%201111%201111",
    "5555555555554444",
    "2223003122003222",
    "378282246310005",
    "3782 822463 10005",
    "6011111111111117",
    "3530111333300000",
    "30569309025904",
    "3056 930902 5904",
    "6205500000000000004",
    "6759649826438453",
    "2200000000000004",
    "4000000000000000006",
)
NO_CARDS = (
    "4111111111111112",
    "4111 1111 1111 1112",
    "1234567812345670",
    "0000000000000000",
    "9111111111111111",
    "4111 1111-1111 1111",
    "411 11111 1111 1111",
    "41111111111111",
    "4222222222222",
    "41111111111111111",
    "14111111111111111",
    "x4111111111111111",
    "0.4111111111111111",
    "7-4111111111111111",
    "5655555555555554",
    "3400 0000 0000 009 1",
    "",
    " ",
    "4",
)
IBANS = (
    "DE89370400440532013000",
    "DE89 3704 0044 0532 0130 00",
    "GB82WEST12345698765432",
    "FR1420041010050500013M02606",
    "NL91ABNA0417164300",
    "BE68 5390 0754 7034",
    "NO9386011117947",
    "MT84MALT011000012345MTLCAST001S",
    "SA0380000000608010167519",
    "BR1800360305000010009795493C1",
    "CH93-0076-2011-6238-5295-7",
    "de89370400440532013000",
    "LC55HEMM000100010012001200023015",
    "ES91%202100%200418%204502%200005%201332",
)
NO_IBANS = (
    "DE88370400440532013000",
    "DE8937040044053201300",
    "DE893704004405320130000",
    "DE89 3704 0044 0532 0130 000",
    "DE89 37 040044 0532 0130 00",
    "GB82 1234 1234 5698 7654 32",
    "XX89370400440532013000",
    "DE",
    "A1DE89370400440532013000",
)
SSNS = ("536-90-4399", "001-01-0001", "899-99-9999", "SSN 536-90-4399")
NO_SSNS = (
    *("000-12-3456", "666-12-3456", "900-12-3456", "987-65-4320", "123-00-4567"),
    *("123-45-0000", "078-05-1120", "219-09-9999", "536904399", "536 90 4399"),
    *("53-690-4399", "1-536-90-4399", "1536-90-4399", "536-90-43990", "5.536-90-4399"),
)
DNIS = (
    *(
        "12345678Z",
        "12345678-Z",
        "12.345.678-Z",
        "12.345.678Z",
        "12345678 Z",
        "12345678z",
    ),
    *("X1234567L", "X-1234567-L", "Y1234567X", "Z1234567R", "00000000T", "X1234567-L"),
)
NO_DNIS = (
    *("12345678A", "1234567Z", "112345678Z", "W1234567L", "X1234567M", "12-345-678-Z"),
    *("12345678", "A12345678Z", "123456789", "2.12345678Z"),
)
CPFS = ("529.982.247-25", "52998224725", "111.444.777-35", "cpf=52998224725")
NO_CPFS = (
    *(
        "529.982.247-24",
        "529.982.247-15",
        "111.111.111-11",
        "00000000000",
        "5299822472",
    ),
    *("529-982-247-25", "1.529.982.247-25", "152998224725", "529.982.24725"),
)
GOOD = {
    CARD: CARDS,
    IBAN: IBANS,
    US_SSN: SSNS,
    ES_DNI: DNIS,
    BR_CPF: CPFS,
}
BAD = {
    CARD: NO_CARDS,
    IBAN: NO_IBANS,
    US_SSN: NO_SSNS,
    ES_DNI: NO_DNIS,
    BR_CPF: NO_CPFS,
}


@pytest.mark.parametrize(
    ("kind", "text"), [(kind, text) for kind, texts in GOOD.items() for text in texts]
)
def test_a_number_is_one_alone_and_at_the_end_of_a_text(core_module, kind, text):
    assert confirms(core_module, kind, text)
    assert confirms(core_module, kind, f"number: {text}")
    assert confirms(core_module, kind, f"{'a' * 600} {text}")
    assert confirms(core_module, kind, f"{text},")


@pytest.mark.parametrize(
    ("kind", "text"), [(kind, text) for kind, texts in BAD.items() for text in texts]
)
def test_a_near_miss_is_none(core_module, kind, text):
    assert not confirms(core_module, kind, text)
    assert not confirms(core_module, kind, f"{text},")


def test_a_card_may_follow_another_number(core_module):
    assert confirms(core_module, CARD, "12 4111 1111 1111 1111")
    assert confirms(core_module, CARD, "qty 1 4111111111111111")
    assert not confirms(core_module, CARD, "4111111111111111, 12")


def test_an_unknown_kind_confirms_nothing(core_module):
    for kind in (0, 1, 7, 255):
        assert not confirms(core_module, kind, "4111111111111111")


def luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        total += sum(int(one) for one in str(int(digit) * (1 + place % 2)))
    return total % 10 == 0


BRANDS = re.compile(
    r"4\d{15}|4\d{18}|5[1-5]\d{14}|3[47]\d{13}|3(?:0[0-5]|095|6\d|8\d|9\d)\d{11,16}|6011\d{12,15}|"
    r"64[4-9]\d{13,16}|65\d{14,17}|62\d{14,17}|35(?:2[89]|[3-8]\d)\d{12,15}|220[0-4]\d{12,15}|"
    r"(?:5018|5020|5038|5893|6304|6759|676[1-3])\d{9,15}"
)


def is_card(digits: str) -> bool:
    """Diners Club's ranges are by four digits; Mastercard's new one is a number's."""
    if digits[:2] == "30" and not (digits[2] in "012345" or digits[:4] == "3095"):
        return False
    if digits[:2] == "30" or digits[:2] in ("36", "38", "39"):
        return 14 <= len(digits) <= 19 and luhn(digits)
    new = len(digits) == 16 and 2221 <= int(digits[:4]) <= 2720
    return luhn(digits) and (new or bool(BRANDS.fullmatch(digits)))


@settings(max_examples=600)
@given(
    st.sampled_from(["4", "51", "2221", "37", "3528", "6011", "62", "36", "3095", "309", "676", "2204", ""]),
    st.text("0123456789", min_size=8, max_size=18),
    st.booleans(),
)  # fmt: skip
def test_cards_are_those_of_a_naive_reading(core_module, first, rest, fix):
    digits = first + rest
    if fix:
        digits = digits[:-1]
        digits += next(str(one) for one in range(10) if luhn(f"{digits}{one}"))
    assert confirms(core_module, CARD, digits) == is_card(digits)


def iban_checks(text: str) -> bool:
    turned = text[4:] + text[:4]
    return int("".join(str(int(one, 36)) for one in turned)) % 97 == 1


@settings(max_examples=400)
@given(
    st.sampled_from([("DE", 18), ("AT", 16), ("NO", 11), ("PL", 24), ("ES", 20)]),
    st.data(),
)
def test_ibans_are_those_of_a_naive_reading(core_module, country, data):
    code, size = country
    length = data.draw(st.sampled_from([size, size, size, size - 1, size + 1]))
    rest = data.draw(st.text("0123456789", min_size=length, max_size=length))
    right = next(one for one in range(2, 99) if iban_checks(f"{code}{one:02}{rest}"))
    check = data.draw(st.sampled_from([right, right, data.draw(st.integers(0, 99))]))
    text = f"{code}{check:02}{rest}"
    wanted = iban_checks(text) and length == size
    assert confirms(core_module, IBAN, text) == wanted
    grouped = " ".join(text[at : at + 4] for at in range(0, len(text), 4))
    assert confirms(core_module, IBAN, grouped) == wanted


@given(st.integers(0, 99_999_999), st.sampled_from("TRWAGMYFPDXBNJZSQVHLCKE"))
def test_the_letter_of_a_dni_is_the_rest_of_23(core_module, number, letter):
    wanted = "TRWAGMYFPDXBNJZSQVHLCKE"[number % 23] == letter
    assert confirms(core_module, ES_DNI, f"{number:08}{letter}") == wanted


def cpf(nine: str) -> str:
    digits = [int(one) for one in nine]
    for _ in range(2):
        weights = range(len(digits) + 1, 1, -1)
        rest = sum(w * d for w, d in zip(weights, digits, strict=True)) % 11
        digits.append(0 if rest < 2 else 11 - rest)
    return "".join(map(str, digits))


@given(
    st.text("0123456789", min_size=9, max_size=9),
    st.one_of(st.none(), st.integers(0, 99)),
)
def test_both_digits_of_a_cpf_are_those_of_a_naive_reading(core_module, nine, wrong):
    text = cpf(nine) if wrong is None else f"{nine}{wrong:02}"
    assert confirms(core_module, BR_CPF, text) == (
        text == cpf(nine) and len(set(text)) > 1
    )


@settings(max_examples=500)
@given(
    st.sampled_from(sorted(GOOD)),
    st.text("0123456789AZXdezx -.+%2_\xe9\0", max_size=90),
)
def test_any_bytes_are_read_within_their_bounds(core_module, kind, text):
    assert confirms(core_module, kind, text) in (True, False)
