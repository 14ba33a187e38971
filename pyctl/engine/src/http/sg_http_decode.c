/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Decodes; see the header. In: bytes. Out: fewer or as many. Pure. */
#include "http/sg_http_decode.h"

static int hex_digit(__u8 byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	byte |= 0x20;
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* Where bytes of a level go. */
struct sink {
	__u8 *out;
	__u32 len;
};

static void put(struct sg_http_decode *decode, int level, __u8 byte, struct sink *sink);

static void flush(struct sg_http_decode *decode, int level, struct sink *sink)
{
	__u8 count = decode->level[level].count;

	decode->level[level].count = 0;
	for (__u8 i = 0; i < count; i++) {
		if (level + 1 < SG_HTTP_DECODE_TWICE)
			put(decode, level + 1, decode->level[level].held[i], sink);
		else
			sink->out[sink->len++] = decode->level[level].held[i];
	}
}

static void pass(struct sg_http_decode *decode, int level, __u8 byte, struct sink *sink)
{
	if (level + 1 < SG_HTTP_DECODE_TWICE)
		put(decode, level + 1, byte, sink);
	else
		sink->out[sink->len++] = byte;
}

static void put(struct sg_http_decode *decode, int level, __u8 byte, struct sink *sink)
{
	__u8 *held = decode->level[level].held, *count = &decode->level[level].count;

	if (*count == 2 && hex_digit(byte) >= 0) {
		byte = (__u8)(hex_digit(held[1]) << 4 | hex_digit(byte));
		*count = 0;
		pass(decode, level, byte, sink);
		return;
	}
	if (*count == 1 && hex_digit(byte) >= 0) {
		held[(*count)++] = byte;
		return;
	}
	flush(decode, level, sink);
	if (byte == '%') {
		held[0] = byte;
		*count = 1;
		return;
	}
	pass(decode, level, !level && byte == '+' ? ' ' : byte, sink);
}

__u32 sg_http_decode(struct sg_http_decode *decode, const __u8 *bytes, __u32 len, int ends, __u8 *out)
{
	struct sink sink = { .out = out };

	for (__u32 i = 0; i < len; i++)
		put(decode, 0, bytes[i], &sink);
	for (int level = 0; ends && level < SG_HTTP_DECODE_TWICE; level++)
		flush(decode, level, &sink);
	return sink.len;
}
