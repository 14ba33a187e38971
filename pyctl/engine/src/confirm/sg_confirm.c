/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Checks of numbers; see the header. In: bytes. Out: yes or no. Pure.
 *
 * A pattern's match has an end, but without more state no beginning. So a number is read backwards from there, group by
 * group, and each place where it may begin is tried. */
#include "confirm/sg_confirm.h"

#include <string.h>

#include "confirm/sg_iban.h"

enum { GROUPS = 12 };

/* Letters and digits up to the end of what was found. */
struct number {
	char room[SG_CONFIRM_BYTES + 1];
	char *text;		/* without separators, as capitals */
	__u32 len;
	__u32 groups;
	__u8 size[GROUPS];	/* of each group, the last first */
	char separator[GROUPS];	/* before each group; 0: something else */
};

static int is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

static int is_letter(char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static int is_word(__u8 byte)
{
	return is_digit((char)byte) || is_letter((char)byte) || byte == '_' || byte >= 0x80;
}

/* Return what separates groups at the end of these bytes, and in *size its bytes; 0: nothing does. */
static char separator_before(const __u8 *at, __u32 len, __u32 *size)
{
	*size = 1;
	if (len > 2 && !memcmp(at + len - 3, "%20", 3)) {
		*size = 3;
		return ' ';
	}
	if (!len || !strchr(" +-.", at[len - 1]) || !at[len - 1])
		return 0;
	return at[len - 1] == '+' ? ' ' : (char)at[len - 1];
}

/* Take the group at the end of these bytes in. Returns its length, 0: there is none. */
static __u32 take_group(struct number *number, const __u8 *at, __u32 len)
{
	__u32 begin = len, size;

	while (begin && (is_digit((char)at[begin - 1]) || is_letter((char)at[begin - 1])) &&
	       !(begin > 2 && separator_before(at, begin, &size) && size == 3)) {
		char byte = (char)at[--begin];

		*--number->text = is_digit(byte) ? byte : (char)(byte & ~0x20);
		number->len++;
	}
	return len - begin;
}

static int has_digits(const char *text, __u32 len)
{
	for (__u32 i = 0; i < len; i++)
		if (!is_digit(text[i]))
			return 0;
	return 1;
}

/* Whether the groups have these sizes, with these separators between them; both the last first. */
static int is_grouped(const struct number *number, const char *sizes, const char *separators)
{
	__u32 count = (__u32)strlen(sizes);

	if (number->groups != count)
		return 0;
	for (__u32 i = 0; i < count; i++)
		if (number->size[i] != sizes[i] - '0' || (i + 1 < count && number->separator[i] != separators[i]))
			return 0;
	return 1;
}

/* Whether one separator alone, of these, is between all groups. */
static int is_even(const struct number *number, const char *separators)
{
	for (__u32 i = 0; i + 1 < number->groups; i++)
		if (number->separator[i] != number->separator[0] || !strchr(separators, number->separator[i]))
			return 0;
	return 1;
}

/* The first four digits of an issuer's cards, and how many digits they may have in all. Visa's old numbers of 13 digits are
 * left out: nobody has one, and one in ten bar codes of an article (EAN-13) that begin with 4 would be one. */
struct issuer {
	__u16 first, last;
	__u8 min, max;
};

static const struct issuer issuers[] = {
	{ 2200, 2204, 16, 19 },	/* Mir */
	{ 2221, 2720, 16, 16 },	/* Mastercard */
	{ 3000, 3059, 14, 19 }, { 3095, 3095, 14, 19 }, { 3600, 3699, 14, 19 }, { 3800, 3999, 14, 19 },	/* Diners Club */
	{ 3400, 3499, 15, 15 }, { 3700, 3799, 15, 15 },	/* American Express */
	{ 3528, 3589, 16, 19 },	/* JCB */
	{ 4000, 4999, 16, 19 },	/* Visa, of which 17 and 18 are none */
	{ 5018, 5018, 13, 19 }, { 5020, 5020, 13, 19 }, { 5038, 5038, 13, 19 }, { 5893, 5893, 13, 19 },	/* Maestro */
	{ 5100, 5599, 16, 16 },	/* Mastercard */
	{ 6011, 6011, 16, 19 }, { 6440, 6599, 16, 19 },	/* Discover */
	{ 6200, 6299, 16, 19 },	/* UnionPay */
	{ 6304, 6304, 13, 19 }, { 6759, 6759, 13, 19 }, { 6761, 6763, 13, 19 },	/* Maestro */
};

static int has_issuer(const char *digits, __u32 len)
{
	int first = 0;

	if (digits[0] == '4' && len != 16 && len != 19)
		return 0;
	for (int i = 0; i < 4; i++)
		first = first * 10 + digits[i] - '0';
	for (__u32 i = 0; i < sizeof(issuers) / sizeof(issuers[0]); i++)
		if (first >= issuers[i].first && first <= issuers[i].last)
			return len >= issuers[i].min && len <= issuers[i].max;
	return 0;
}

static int luhn(const char *digits, __u32 len)
{
	int sum = 0;

	for (__u32 i = 0; i < len; i++) {
		int digit = digits[i] - '0';

		if ((len - i) % 2 == 0)
			digit = digit > 4 ? digit * 2 - 9 : digit * 2;
		sum += digit;
	}
	return sum % 10 == 0;
}

static int is_card(const struct number *number)
{
	static const char *const forms[] = { "4444", "34444", "564", "464" };
	int grouped = number->groups == 1;

	for (int i = 0; i < 4 && !grouped; i++) {
		const char *form = forms[i];
		__u32 count = (__u32)strlen(form), same = 0;

		while (count == number->groups && same < count && number->size[same] == form[same] - '0')
			same++;
		grouped = same == count;
	}
	return grouped && is_even(number, " -") && number->len >= 13 && number->len <= 19 &&
	       has_digits(number->text, number->len) && has_issuer(number->text, number->len) &&
	       luhn(number->text, number->len);
}

static int is_iban(const struct number *number)
{
	if (!is_even(number, " -"))
		return 0;
	for (__u32 i = 0; i < number->groups && number->groups > 1; i++)
		if (i ? number->size[i] != 4 : number->size[i] > 4)
			return 0;
	return sg_iban(number->text, number->len);
}

/* Area, group and serial number as they may be (since 2011), but for two that were printed as samples. */
static int is_us_ssn(const struct number *number)
{
	const char *digits = number->text;

	if (!is_grouped(number, "423", "--") || !has_digits(digits, number->len))
		return 0;
	return digits[0] != '9' && memcmp(digits, "000", 3) && memcmp(digits, "666", 3) && memcmp(digits + 3, "00", 2) &&
	       memcmp(digits + 5, "0000", 4) && memcmp(digits, "078051120", 9) && memcmp(digits, "219099999", 9);
}

/* How a DNI or NIE is grouped: sizes and separators, the last first. */
static const char *const dni_forms[][2] = {
	{ "9", "" }, { "18", "-" }, { "18", " " }, { "81", "-" }, { "171", "--" }, { "1332", "-.." }, { "432", ".." },
};

static int is_es_dni(const struct number *number)
{
	static const char letters[] = "TRWAGMYFPDXBNJZSQVHLCKE";
	const char *text = number->text;
	__u32 value, grouped = 0;

	for (__u32 i = 0; i < sizeof(dni_forms) / sizeof(dni_forms[0]); i++)
		grouped |= (__u32)is_grouped(number, dni_forms[i][0], dni_forms[i][1]);
	if (!grouped || number->len != 9 || !has_digits(text + 1, 7))
		return 0;
	/* Of a foreigner's, X, Y and Z stand for 0, 1 and 2. */
	if (text[0] >= 'X' && text[0] <= 'Z')
		value = (__u32)(text[0] - 'X');
	else if (is_digit(text[0]))
		value = (__u32)(text[0] - '0');
	else
		return 0;
	for (int i = 1; i < 8; i++)
		value = value * 10 + (__u32)(text[i] - '0');
	return text[8] == letters[value % 23];
}

/* Return the check digit behind so many digits. */
static char cpf_digit(const char *digits, int count)
{
	int sum = 0;

	for (int i = 0; i < count; i++)
		sum += (digits[i] - '0') * (count + 1 - i);
	sum = sum * 10 % 11 % 10;
	return (char)('0' + sum);
}

static int is_br_cpf(const struct number *number)
{
	const char *digits = number->text;

	if (number->len != 11 || !has_digits(digits, 11) || (number->groups > 1 && !is_grouped(number, "2333", "-..")))
		return 0;
	/* Eleven times the same digit passes the check, and is nobody's. */
	return strspn(digits, (const char[]){ digits[0], 0 }) < 11 && digits[9] == cpf_digit(digits, 9) &&
	       digits[10] == cpf_digit(digits, 10);
}

static int is_kind(enum sg_confirm kind, const struct number *number)
{
	switch (kind) {
	case SG_CONFIRM_CARD:
		return is_card(number);
	case SG_CONFIRM_IBAN:
		return is_iban(number);
	case SG_CONFIRM_US_SSN:
		return is_us_ssn(number);
	case SG_CONFIRM_ES_DNI:
		return is_es_dni(number);
	case SG_CONFIRM_BR_CPF:
		return is_br_cpf(number);
	default:
		return 0;
	}
}

/* Whether a number may begin behind these bytes: it is no part of a longer one with a point or hyphens. */
static int may_begin(const __u8 *at, __u32 len)
{
	if (!len)
		return 1;
	if ((at[len - 1] == '.' || at[len - 1] == '-') && len > 1 && is_digit((char)at[len - 2]))
		return 0;
	return !is_word(at[len - 1]) || (len > 2 && !memcmp(at + len - 3, "%20", 3));
}

int sg_confirm(enum sg_confirm kind, const __u8 *at, __u32 len)
{
	struct number number = { .len = 0 };
	__u32 size;

	if (len > SG_CONFIRM_BYTES) {
		at += len - SG_CONFIRM_BYTES;
		len = SG_CONFIRM_BYTES;
	}
	if (len && !is_word(at[len - 1]))
		len--;
	number.text = number.room + SG_CONFIRM_BYTES;
	while (number.groups < GROUPS) {
		__u32 taken = take_group(&number, at, len);

		if (!taken)
			return 0;
		number.size[number.groups++] = (__u8)taken;
		len -= taken;
		if (may_begin(at, len) && is_kind(kind, &number))
			return 1;
		number.separator[number.groups - 1] = separator_before(at, len, &size);
		if (!number.separator[number.groups - 1])
			return 0;
		len -= size;
	}
	return 0;
}
