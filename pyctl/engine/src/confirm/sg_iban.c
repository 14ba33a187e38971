/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Account numbers; see the header. In: letters and digits. Out: yes or no. Pure. */
#include "confirm/sg_iban.h"

/* A country, and what follows its two check digits: so many digits (n), capitals (a), or either (c). */
struct country {
	char code[3];
	char form[13];
};

static const struct country countries[] = {
	{ "AD", "8n12c" },   { "AE", "19n" },	    { "AL", "8n16c" },	 { "AT", "16n" },     { "AZ", "4a20c" },
	{ "BA", "16n" },     { "BE", "12n" },	    { "BG", "4a6n8c" },	 { "BH", "4a14c" },   { "BI", "23n" },
	{ "BR", "23n1a1c" }, { "BY", "4c4n16c" },   { "CH", "5n12c" },	 { "CR", "18n" },     { "CY", "8n16c" },
	{ "CZ", "20n" },     { "DE", "18n" },	    { "DJ", "23n" },	 { "DK", "14n" },     { "DO", "4c20n" },
	{ "EE", "16n" },     { "EG", "25n" },	    { "ES", "20n" },	 { "FI", "14n" },     { "FK", "2a12n" },
	{ "FO", "14n" },     { "FR", "10n11c2n" },  { "GB", "4a14n" },	 { "GE", "2a16n" },   { "GI", "4a15c" },
	{ "GL", "14n" },     { "GR", "7n16c" },	    { "GT", "24c" },	 { "HN", "4a20n" },   { "HR", "17n" },
	{ "HU", "24n" },     { "IE", "4a14n" },	    { "IL", "19n" },	 { "IQ", "4a15n" },   { "IS", "22n" },
	{ "IT", "1a10n12c" }, { "JO", "4a4n18c" },  { "KW", "4a22c" },	 { "KZ", "3n13c" },   { "LB", "4n20c" },
	{ "LC", "4a24c" },   { "LI", "5n12c" },	    { "LT", "16n" },	 { "LU", "3n13c" },   { "LV", "4a13c" },
	{ "LY", "21n" },     { "MC", "10n11c2n" },  { "MD", "20c" },	 { "ME", "18n" },     { "MK", "3n10c2n" },
	{ "MN", "16n" },     { "MR", "23n" },	    { "MT", "4a5n18c" }, { "MU", "4a19n3a" }, { "NI", "4a20n" },
	{ "NL", "4a10n" },   { "NO", "11n" },	    { "OM", "3n16c" },	 { "PK", "4a16c" },   { "PL", "24n" },
	{ "PS", "4a21c" },   { "PT", "21n" },	    { "QA", "4a21c" },	 { "RO", "4a16c" },   { "RS", "18n" },
	{ "RU", "14n15c" },  { "SA", "2n18c" },	    { "SC", "4a20n3a" }, { "SD", "14n" },     { "SE", "20n" },
	{ "SI", "15n" },     { "SK", "20n" },	    { "SM", "1a10n12c" }, { "SO", "19n" },    { "ST", "21n" },
	{ "SV", "4a20n" },   { "TL", "19n" },	    { "TN", "20n" },	 { "TR", "6n16c" },   { "UA", "6n19c" },
	{ "VA", "18n" },     { "VG", "4a16n" },	    { "XK", "16n" },	 { "YE", "4a4n18c" },
};

static int is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

static int is_capital(char byte)
{
	return byte >= 'A' && byte <= 'Z';
}

/* Whether the text has the form, to its last byte. */
static int has_form(const char *form, const char *text, __u32 len)
{
	__u32 at = 0;

	while (*form) {
		__u32 count = 0;

		while (is_digit(*form))
			count = count * 10 + (__u32)(*form++ - '0');
		for (; count; count--, at++)
			if (at == len || (*form == 'n' && !is_digit(text[at])) || (*form == 'a' && !is_capital(text[at])))
				return 0;
		form++;
	}
	return at == len;
}

/* Whether the number with its first four bytes at the end, and letters as 10 to 35, leaves 1. */
static int checks(const char *text, __u32 len)
{
	__u32 rest = 0;

	for (__u32 i = 0; i < len; i++) {
		char byte = text[(i + 4) % len];

		rest = is_digit(byte) ? rest * 10 + (__u32)(byte - '0') : rest * 100 + (__u32)(byte - 'A') + 10;
		rest %= 97;
	}
	return rest == 1;
}

int sg_iban(const char *text, __u32 len)
{
	if (len < SG_IBAN_MIN || len > SG_IBAN_MAX || !is_digit(text[2]) || !is_digit(text[3]))
		return 0;
	for (__u32 i = 0; i < sizeof(countries) / sizeof(countries[0]); i++)
		if (text[0] == countries[i].code[0] && text[1] == countries[i].code[1])
			return has_form(countries[i].form, text + 4, len - 4) && checks(text, len);
	return 0;
}
