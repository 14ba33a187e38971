"""Texts for sets of numbers: what must fire, and what must not. All numbers are published samples, or made up."""

from __future__ import annotations


def in_bodies(*texts: str) -> list[tuple[str, str]]:
    """Return texts of bodies."""
    return [("body", text) for text in texts]


CARDS_FIRE = (
    ("body", "card=4111111111111111&cvv=123"),
    ("body", '{"number": "4111 1111 1111 1111", "exp": "12/29"}'),
    ("body", "Visa: 4111-1111-1111-1111\n"),
    ("body", "name;pan\nA. Smith;5555555555554444\n"),
    ("body", "<td>3782 822463 10005</td>"),
    ("body", "amex 378282246310005."),
    ("body", '{"pan":"6011111111111117"}'),
    ("body", "JCB 3530111333300000"),
    ("body", "Diners 30569309025904"),
    ("body", "3056 930902 5904 is a Diners Club card"),
    ("body", "UnionPay: 6205500000000000004"),
    ("body", "maestro 6759649826438453;"),
    ("body", "2223003122003222 (Mastercard, new range)"),
    ("body", "qty 12 4242 4242 4242 4242"),
    ("body", "(5105105105105100)"),
    ("body", "a,b,c\r\n1,4012888888881881,x\r\n"),
    ("url", "/pay?card=4111111111111111"),
    ("url", "/pay?card=4111%201111%201111%201111&x=1"),
    ("url", "/receipt/5555-5555-5555-4444"),
    ("url", "/pay?card=%34111111111111111"),
)
CARDS_SILENT = (
    ("body", "order 4111111111111112"),
    ("body", "tracking number 9400110200881234567890"),
    ("body", "4111 1111 1111 1112 does not pass"),
    ("body", "id 550e8400-e29b-41d4-a716-446655440000"),
    ("body", "4fa1b2c3-4111-1111-1111-111111111111"),
    ("body", "epoch 1700000000000 and 1700000000123456"),
    ("body", "EAN 4006381333931, ISBN 978-3-16-148410-0"),
    ("body", "tel +49 30 901820 12345 and 555-0100-2000-300"),
    ("body", "3.1415926535897932384626433832795"),
    ("body", "0.4111111111111111"),
    ("body", "sha1 da39a3ee5e6b4b0d3255bfef95601890afd80709"),
    ("body", "NDExMTExMTExMTExMTExMQ== is base64"),
    ("body", "1234567812345670 has no issuer"),
    ("body", "0000 0000 0000 0000"),
    ("body", "41 11 11 11 11 11 11 11 11"),
    ("body", "x4111111111111111x"),
    ("body", "41111111111111111111111"),
    ("body", "DE89 3704 0044 0532 0130 00"),
    ("url", "/orders/4000123412341235?page=2"),
    ("url", "/item/5500000000000005-thumb/6011?ts=1700000000000"),
)
IBAN_FIRE = (
    ("body", "IBAN: DE89370400440532013000"),
    ("body", "Please pay to DE89 3704 0044 0532 0130 00 by Friday"),
    ("body", '{"iban":"GB82WEST12345698765432"}'),
    ("body", "GB29 NWBK 6016 1331 9268 19"),
    ("body", "FR1420041010050500013M02606;Dupont"),
    ("body", "<IBAN>NL91ABNA0417164300</IBAN>"),
    ("body", "iban=BE68+5390+0754+7034&amount=5"),
    ("body", "NO9386011117947"),
    ("body", "CH93 0076 2011 6238 5295 7"),
    ("body", "es9121000418450200051332"),
    ("body", "IT60X0542811101000000123456,"),
    ("body", "AT611904300234573201\r\n"),
    ("body", "PL61109010140000071219812874"),
    ("body", "SE45 5000 0000 0583 9825 7466"),
    ("body", "MT84MALT011000012345MTLCAST001S"),
    ("body", "account BR1800360305000010009795493C1."),
    ("body", "SA03 8000 0000 6080 1016 7519"),
    ("body", "TR330006100519786457841326"),
    ("url", "/transfer?to=DE89370400440532013000&amount=1"),
    ("url", "/transfer?to=DE89%203704%200044%200532%200130%2000"),
)
IBAN_SILENT = (
    ("body", "DE88370400440532013000"),
    ("body", "DE8937040044053201300 is too short"),
    ("body", "DE893704004405320130001 is too long"),
    ("body", "XX89370400440532013000"),
    ("body", "GB82 1234 1234 5698 7654 32"),
    ("body", "order DE12345678, part AB12CD34EF56"),
    ("body", "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
    ("body", "uuid de893704-0044-0532-0130-000000000000"),
    ("body", "AT16 Austria has 20 characters in its account numbers"),
    ("body", "ES91 is the beginning of a Spanish account"),
    ("body", "base64 DE89cGFzc3dvcmQgaXMgbm90IGhlcmU="),
    ("body", "VAT DE123456789 and GB999999973"),
    ("body", "BIC DEUTDEFF500"),
    ("body", "flight LH1234 to FR12 gate at 10 20 30 40"),
    ("body", "NL91 ABNA 0417 1643 01"),
    ("body", "<span id=ab12cdef34567890abcdef></span>"),
    ("body", "FR76 for FR 99 and 20 of 30"),
    ("body", "licence AB12-CDEF-3456-GHIJ-7890"),
    ("url", "/session/fr20041010050500013m02606abcdef"),
    ("url", "/v1/objects/DE89370400440532013009"),
)
US_FIRE = (
    *in_bodies(
        *("536-90-4399", "SSN: 536-90-4399", "ssn=001-01-0001&x=y"),
        *(
            '{"ssn":"899-99-9999"}',
            "name,ssn\nDoe,212-09-7694\n",
            "<ssn>212-09-7694</ssn>",
        ),
        *(
            "(536-90-4399)",
            "536-90-4399.",
            "536-90-4399, 212-09-7695",
            "s: 457-55-5462;",
        ),
        *("his number is 457-55-5462 and hers", "'665-99-0001'", "667-01-0001\r\n"),
        *(
            "|123-45-6789|",
            "\t772-11-2233\t",
            "SSN#468-77-1234",
            "social security 468-77-1234",
        ),
        "employee 17: 130-22-8765 / clerk",
    ),
    ("url", "/person?ssn=536-90-4399"),
    ("url", "/person?ssn=536%2D90%2D4399&full=1"),
)
US_SILENT = (
    *in_bodies(
        *("000-12-3456", "666-12-3456", "900-12-3456", "987-65-4320", "123-00-4567"),
        *(
            "123-45-0000",
            "078-05-1120 was in a wallet",
            "219-09-9999",
            "tel 555-123-4567",
        ),
        *("2023-10-05", "2023-10-05-1234", "part 1-536-90-4399", "536-90-4399-22"),
        *("1536-90-4399", "536-90-43991", "536904399", "ISBN 0-536-90439-9"),
        "00-536-90-4399-00",
    ),
    ("url", "/v1/123-45-67890/x"),
    ("url", "/2023-10-05-0001?zip=12345-6789"),
)
ES_FIRE = (
    *in_bodies(
        *("DNI 12345678Z", "dni=12345678Z&x=1", '{"dni":"12345678-Z"}', "12.345.678-Z"),
        *(
            "12.345.678Z,",
            "NIE X1234567L",
            "X-1234567-L",
            "Y1234567X.",
            "nie: Z1234567R",
        ),
        *(
            "00000000T",
            "<dni>99999999R</dni>",
            "12345678z",
            "x1234567l",
            "a;11111111H;b",
        ),
        *(
            "El DNI 87654321X es suyo",
            "(87654321X)",
            "\t53100451Y\n",
            "dni:87654321-X.",
        ),
    ),
    ("url", "/cliente?dni=12345678Z"),
    ("url", "/cliente?dni=12345678%2DZ&p=1"),
)
ES_SILENT = (
    *in_bodies(
        *(
            "12345678A",
            "12345678-Y",
            "X1234567M",
            "1234567Z",
            "112345678Z",
            "A12345678Z",
        ),
        *("20231105T101500", "20231105T", "12.345.678-A", "12345678", "12345678Zx"),
        *("x12345678", "0x12345678", "deadbeef12345678f00d", "B12345678 (CIF)"),
        *("v12.345.678.9", "12-345-678-Z", "serie 12345678Z-9"),
    ),
    ("url", "/img/12345678a.png"),
    ("url", "/v/12345678q?t=20231105T0900"),
)
BR_FIRE = (
    *in_bodies(
        *(
            "529.982.247-25",
            "CPF: 529.982.247-25",
            "cpf=52998224725&x=1",
            '{"cpf":"52998224725"}',
        ),
        *(
            "111.444.777-35",
            "<cpf>111.444.777-35</cpf>",
            "CPF 11144477735.",
            "cpf nº 111.444.777-35",
        ),
        *(
            "nome;cpf\nMaria;529.982.247-25\n",
            "(529.982.247-25)",
            "'529.982.247-25'",
            "CPF/MF 111.444.777-35",
        ),
        *(
            "cpf: '11144477735'",
            "529.982.247-25,",
            "CPF do titular: 52998224725",
            "935.411.347-80\r\n",
        ),
        *("doc 935.411.347-80 ok", '"Cpf" : "93541134780"'),
    ),
    ("url", "/pessoa?cpf=52998224725"),
    ("url", "/pessoa?cpf=529.982.247%2D25"),
)
BR_SILENT = (
    *in_bodies(
        *(
            "529.982.247-24",
            "529.982.247-15",
            "111.111.111-11",
            "000.000.000-00",
            "52998224725",
        ),
        *("cpf=52998224724", "cpf 5299822472", "tel 11 98765-4321", "529-982-247-25"),
        *(
            "CNPJ 11.222.333/0001-81",
            "1.529.982.247-25",
            "529.982.247-251",
            "192.168.100.200-25",
        ),
        *(
            "versão 1.2.3-25",
            "123.456.789-00",
            "cpf é pedido na página 12345678901",
            "ECPF52998224725",
        ),
        "the CPF is asked for in the next form, which has 11 digits",
    ),
    ("url", "/pedido/52998224725"),
    ("url", "/v1/123.456.789-10/x"),
)
TEXTS = {
    "payment_cards": (CARDS_FIRE, CARDS_SILENT),
    "iban": (IBAN_FIRE, IBAN_SILENT),
    "national_id_us": (US_FIRE, US_SILENT),
    "national_id_es": (ES_FIRE, ES_SILENT),
    "national_id_br": (BR_FIRE, BR_SILENT),
}
