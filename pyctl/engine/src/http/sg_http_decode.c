/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Decodes escapes; see the header. In: bytes. Out: bytes. Pure. */
#include "http/sg_http_decode.h"

#include <string.h>

#include "http/sg_http_slice.h"

enum { FULL_WIDTH = 0xff01, FULL_WIDTH_END = 0xff5e };	/* forms of ! to ~, which some servers take for these */

/* Where bytes go: through the second time, and the end of it, to the output. */
struct sink {
	struct sg_http_decoder *decoder;
	__u8 *out;
	__u32 len;
};

static void put(struct sink *sink, __u8 byte)
{
	__u8 lead = sink->decoder->lead;

	sink->decoder->lead = 0;
	if (lead && (byte & 0xc0) == 0x80) {
		sink->out[sink->len++] = (__u8)((lead & 1) << 6 | (byte & 0x3f));
		return;
	}
	if (lead)
		sink->out[sink->len++] = lead;
	if (byte == 0xc0 || byte == 0xc1)
		sink->decoder->lead = byte;
	else
		sink->out[sink->len++] = byte;
}

static void feed(struct sink *sink, int time, __u8 byte);

/* Hand a byte on that this time has decoded. */
static void hand_on(struct sink *sink, int time, __u8 byte)
{
	if (time)
		put(sink, byte);
	else
		feed(sink, 1, byte);
}

/* Return the byte of a code; of one that is in no byte, a question mark. */
static __u8 byte_of(__u32 code)
{
	if (code >= FULL_WIDTH && code <= FULL_WIDTH_END)
		code = code - FULL_WIDTH + '!';
	return code < 256 ? (__u8)code : '?';
}

/* Read what is held: 1: it is an escape, of *byte; 0: it may become one; -1: it is none. */
static int read_escape(const __u8 *held, __u32 count, __u8 *byte)
{
	__u32 first = count > 1 && sg_http_lower(held[1]) == 'u' ? 2 : 1, code = 0;

	for (__u32 i = first; i < count; i++) {
		if (sg_http_hex(held[i]) < 0)
			return -1;
		code = code << 4 | (__u32)sg_http_hex(held[i]);
	}
	if (count < (first == 2 ? SG_HTTP_ESCAPE : 3))
		return 0;
	*byte = byte_of(code);
	return 1;
}

/* Decode one byte for the first or second time. */
static void feed(struct sink *sink, int time, __u8 byte)
{
	struct sg_http_decoder *decoder = sink->decoder;
	__u8 *held = decoder->held[time], decoded;
	__u32 count = decoder->count[time];
	int said;

	if (!count && byte != '%') {
		hand_on(sink, time, !time && byte == '+' ? ' ' : byte);
		return;
	}
	held[count++] = byte;
	decoder->count[time] = (__u8)count;
	said = read_escape(held, count, &decoded);
	if (!said)
		return;
	decoder->count[time] = 0;
	if (said > 0) {
		hand_on(sink, time, decoded);
		return;
	}
	/* Only the last of them may begin another. */
	for (__u32 i = 0; i + 1 < count; i++)
		hand_on(sink, time, held[i]);
	feed(sink, time, byte);
}

__u32 sg_http_decode(struct sg_http_decoder *decoder, const __u8 *bytes, __u32 len, __u8 *out)
{
	struct sink sink = { .decoder = decoder, .out = out };

	for (__u32 i = 0; i < len; i++)
		feed(&sink, 0, bytes[i]);
	return sink.len;
}

__u32 sg_http_decode_end(struct sg_http_decoder *decoder, __u8 *out)
{
	struct sink sink = { .decoder = decoder, .out = out };

	for (int time = 0; time < 2; time++) {
		__u32 count = decoder->count[time];

		decoder->count[time] = 0;
		for (__u32 i = 0; i < count; i++)
			hand_on(&sink, time, decoder->held[time][i]);
	}
	if (decoder->lead)
		out[sink.len++] = decoder->lead;
	decoder->lead = 0;
	return sink.len;
}

int sg_http_is_encoded(const struct sg_http_decoder *decoder, const __u8 *bytes, __u32 len)
{
	if (decoder->count[0] || decoder->count[1] || decoder->lead)
		return 1;
	for (__u32 i = 0; i < len; i++)
		if (bytes[i] == '%' || bytes[i] == '+' || bytes[i] == 0xc0 || bytes[i] == 0xc1)
			return 1;
	return 0;
}
