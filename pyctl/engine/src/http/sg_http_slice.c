/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Parts of a head; see the header. In: bytes. Out: parts of them, numbers. Pure. */
#include "http/sg_http_slice.h"

#include <string.h>

enum { LENGTH_DIGITS = 18, SIZE_DIGITS = 15, SIZE_LINE_MAX = 1024 };	/* of Content-Length, of a chunk */

int sg_http_is_token(__u8 byte)
{
	return sg_http_is_capital_or_digit(byte) || (byte >= 'a' && byte <= 'z') ||
	       (byte && strchr("!#$%&'*+-.^_`|~", byte));
}

/* Whether the byte is a control's, which no line has but a tab. */
static int is_control(__u8 byte)
{
	return (byte < ' ' && byte != '\t') || byte == 0x7f;
}

static void strip(struct sg_http_slice *part)
{
	while (part->len && (part->at[0] == ' ' || part->at[0] == '\t')) {
		part->at++;
		part->len--;
	}
	while (part->len && (part->at[part->len - 1] == ' ' || part->at[part->len - 1] == '\t'))
		part->len--;
}

int sg_http_is(struct sg_http_slice part, const char *text)
{
	for (__u32 i = 0; i < part.len; i++)
		if (sg_http_lower(part.at[i]) != (__u8)text[i])
			return 0;
	return !text[part.len];
}

int sg_http_same(struct sg_http_slice one, struct sg_http_slice other)
{
	return one.len == other.len && !memcmp(one.at, other.at, one.len);
}

struct sg_http_slice sg_http_take_line(struct sg_http_slice *lines)
{
	const __u8 *end = memchr(lines->at, '\n', lines->len);
	struct sg_http_slice line = { lines->at, (__u32)(end - lines->at) - 1 };

	lines->at += line.len + 2;
	lines->len -= line.len + 2;
	return line;
}

int sg_http_take_item(struct sg_http_slice *list, struct sg_http_slice *item)
{
	const __u8 *end;

	if (!list->len)
		return -1;
	end = memchr(list->at, ',', list->len);
	*item = (struct sg_http_slice){ list->at, end ? (__u32)(end - list->at) : list->len };
	list->at += item->len + !!end;
	list->len -= item->len + !!end;
	strip(item);
	return 0;
}

int sg_http_split(struct sg_http_slice line, struct sg_http_slice *name, struct sg_http_slice *value)
{
	*name = (struct sg_http_slice){ line.at, 0 };
	while (name->len < line.len && sg_http_is_token(line.at[name->len]))
		name->len++;
	if (!name->len || name->len == line.len || line.at[name->len] != ':')
		return -1;
	*value = (struct sg_http_slice){ line.at + name->len + 1, line.len - name->len - 1 };
	for (__u32 i = 0; i < value->len; i++)
		if (is_control(value->at[i]))
			return -1;
	strip(value);
	return 0;
}

int sg_http_read_length(const __u8 *digits, __u32 len, __u64 *length)
{
	*length = 0;
	if (!len || len > LENGTH_DIGITS)
		return -1;
	for (__u32 i = 0; i < len; i++) {
		if (digits[i] < '0' || digits[i] > '9')
			return -1;
		*length = *length * 10 + (digits[i] - '0');
	}
	return 0;
}

/* Read a size out of its line, which has no CRLF; -1: it is none. */
static int read_size(const __u8 *line, __u32 len, __u64 *size)
{
	__u32 digits = 0;

	*size = 0;
	for (; digits < len && sg_http_hex(line[digits]) >= 0; digits++)
		*size = *size << 4 | (__u64)sg_http_hex(line[digits]);
	if (!digits || digits > SIZE_DIGITS || (digits < len && line[digits] != ';'))
		return -1;
	for (__u32 i = digits; i < len; i++)
		if (is_control(line[i]))
			return -1;
	return 0;
}

int sg_http_chunk(const __u8 *bytes, __u32 len, int is_next, __u32 *scanned, __u64 *size)
{
	__u32 begin = is_next ? 2 : 0, from = *scanned > begin ? *scanned : begin, at;
	const __u8 *end;

	if (begin && (bytes[0] != '\r' || (len > 1 && bytes[1] != '\n')))
		return -1;
	end = from < len ? memchr(bytes + from, '\n', len - from) : NULL;
	if (!end) {
		*scanned = len;
		return len < SIZE_LINE_MAX ? 0 : -1;
	}
	at = (__u32)(end - bytes);
	if (at < begin + 2 || bytes[at - 1] != '\r' || read_size(bytes + begin, at - 1 - begin, size))
		return -1;
	return (int)at + 1;
}
