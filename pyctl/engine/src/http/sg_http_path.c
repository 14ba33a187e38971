/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Readings of a path; see the header. In: bytes. Out: texts. Pure. */
#include "http/sg_http_path.h"

#include <string.h>

#include "http/sg_http_slice.h"

struct path {
	char *text;
	__u32 len;
	int error;		/* it is too long */
};

static int is_letter_or_digit(__u8 byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9');
}

/* Whether a byte means the same with and without encoding (RFC 3986: pchar), to every server. */
static int is_plain(__u8 byte)
{
	return is_letter_or_digit(byte) || (byte && strchr("-._~!$&'()*+,=:@", byte));
}

/* Return the byte that is encoded here; -1: none is. */
static int encoded(const __u8 *at, __u32 len)
{
	if (len < 3 || at[0] != '%' || sg_http_hex(at[1]) < 0 || sg_http_hex(at[2]) < 0)
		return -1;
	return sg_http_hex(at[1]) << 4 | sg_http_hex(at[2]);
}

static void put(struct path *out, char byte)
{
	if (out->len < SG_HTTP_PATH_MAX)
		out->text[out->len++] = byte;
	else
		out->error = 1;
}

static void put_encoded(struct path *out, __u8 byte)
{
	put(out, '%');
	put(out, "0123456789ABCDEF"[byte >> 4]);
	put(out, "0123456789ABCDEF"[byte & 15]);
}

/* Write the path with what needs encoding encoded, and nothing else. -1: an encoding is none. */
static int write(struct path *out, const __u8 *path, __u32 len)
{
	for (__u32 i = 0; i < len; i++) {
		int byte = path[i];

		if (byte == '/' || byte == ';') {
			put(out, (char)byte);
			continue;
		}
		if (byte == '%') {
			byte = encoded(path + i, len - i);
			if (byte < 0)
				return -1;
			i += 2;
		}
		if (is_plain((__u8)byte))
			put(out, (char)byte);
		else
			put_encoded(out, (__u8)byte);
	}
	return 0;
}

/* Make one slash of several, and with `dots` resolve . and .. as RFC 3986 does. */
static void collapse(struct path *path, int dots)
{
	char *text = path->text;
	__u32 out = 0, i = 0;

	while (i < path->len) {
		__u32 begin, size;

		while (i < path->len && text[i] == '/')
			i++;
		begin = i;
		while (i < path->len && text[i] != '/')
			i++;
		size = i - begin;
		if (dots && size && size <= 2 && !memcmp(text + begin, "..", size)) {
			while (size == 2 && out && text[--out] != '/')
				;
			if (i == path->len)
				text[out++] = '/';
			continue;
		}
		text[out++] = '/';
		memmove(text + out, text + begin, size);
		out += size;
	}
	path->len = out;
}

/* Whether two bytes begin a character in more bytes than it needs, which UTF-8 does not have: some servers take it for a slash
 * or a dot all the same. Such a one of two bytes begins with C0 or C1. */
static int is_overlong(__u8 first, __u8 second)
{
	return (first == 0xe0 && second >= 0x80 && second < 0xa0) || (first == 0xf0 && second >= 0x80 && second < 0x90);
}

/* Decode all that is encoded, in place. Returns the length; -1: a byte is none of a path in any encoding. */
static int decode(__u8 *bytes, __u32 len)
{
	__u32 out = 0;

	for (__u32 i = 0; i < len; i++) {
		int byte = encoded(bytes + i, len - i);

		if (byte >= 0)
			i += 2;
		else
			byte = bytes[i];
		if (byte < ' ' || byte == 0x7f || byte == 0xc0 || byte == 0xc1)
			return -1;
		if (out && is_overlong(bytes[out - 1], (__u8)byte))
			return -1;
		bytes[out++] = (__u8)byte;
	}
	return (int)out;
}

/* Write the path as the most liberal server reads it. */
static int write_liberal(struct path *out, const __u8 *path, __u32 len)
{
	__u8 bytes[SG_HTTP_PATH_MAX];
	int count, parameter = 0;

	memcpy(bytes, path, len);
	count = decode(bytes, len);
	if (count >= 0)
		count = decode(bytes, (__u32)count);
	for (int i = 0; i < count; i++) {
		__u8 byte = bytes[i] == '\\' ? '/' : bytes[i];

		if (byte == '/' || byte == ';')
			parameter = byte == ';';
		if (parameter)
			continue;
		if (byte == '/' || is_plain(byte))
			put(out, (char)byte);
		else
			put_encoded(out, byte);
	}
	return count < 0 ? -1 : 0;
}

/* Whether all readings of the path are the path itself. */
static int is_simple(const __u8 *path, __u32 len)
{
	for (__u32 i = 0; i < len; i++) {
		if (path[i] == '/' ? i + 1 < len && (path[i + 1] == '/' || path[i + 1] == '.') : !is_plain(path[i]))
			return 0;
	}
	return 1;
}

/* Add a reading that is none of those before. */
static void add(struct sg_http_request *request, const struct path *path)
{
	for (int i = 0; i < request->readings; i++)
		if (request->paths[i].len == path->len && !memcmp(request->paths[i].at, path->text, path->len))
			return;
	request->paths[request->readings++] = (struct sg_http_text){ path->text, path->len };
}

int sg_http_path(const __u8 *path, __u32 len, struct sg_http_request *request)
{
	struct path readings[SG_HTTP_READINGS];
	int error = 0;

	request->readings = 0;
	if (len > SG_HTTP_PATH_MAX || !len || path[0] != '/')
		return -1;
	if (is_simple(path, len)) {
		request->paths[request->readings++] = (struct sg_http_text){ (const char *)path, len };
		return 0;
	}
	for (int i = 0; i < SG_HTTP_READINGS; i++) {
		struct path *reading = &readings[i];

		*reading = (struct path){ .text = request->room[i] };
		error |= i == 2 ? write_liberal(reading, path, len) : write(reading, path, len);
		error |= reading->error;
		if (error)
			return -1;
		collapse(reading, i != 1);
		add(request, reading);
	}
	return 0;
}
