/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reads the first HEADERS and its CONTINUATION frames (RFC 9113, 7541). In: the client's bytes. Out: fields. Pure.
 * The first block can refer to no earlier one, so its texts are all that a field may be. */
#include "apps_web/sg_hpack.h"
#include "base/sg_bytes.h"

#define PREFACE 24
#define FRAME_HEAD 9
#define FRAME_MAX 16384U	/* SETTINGS of the client allow the server more, not itself */
#define HEADERS 1
#define CONTINUATION 9
#define END_HEADERS 4
#define PADDED 8
#define PRIORITY 32

struct reader {
	const __u8 *at;
	const __u8 *end;
	__u32 block;		/* bytes of the header block that are left of the frame */
	__u32 padding;		/* behind them */
	__u8 is_last;		/* this frame ends the block */
	enum sg_match match;	/* CERTAIN until it ends too soon (MORE, GUESS), or is over or wrong (NO) */
};

static void stop(struct reader *r, enum sg_match why)
{
	if (r->match == SG_MATCH_CERTAIN)
		r->match = why;
}

/* Go into the next frame that holds a part of the block. */
static void next_frame(struct reader *r, __u8 wanted)
{
	while (r->match == SG_MATCH_CERTAIN) {
		__u32 left = (__u32)(r->end - r->at), size, before = 0;

		if (left < FRAME_HEAD) {
			stop(r, !left && wanted == HEADERS ? SG_MATCH_GUESS : SG_MATCH_MORE);
			return;
		}
		size = sg_get32(r->at) >> 8;
		if (size > FRAME_MAX || (wanted == CONTINUATION && r->at[3] != CONTINUATION)) {
			stop(r, SG_MATCH_NO);
			return;
		}
		if (r->at[3] != wanted) {
			if (left < FRAME_HEAD + size)
				stop(r, SG_MATCH_MORE);
			else
				r->at += FRAME_HEAD + size;
			continue;
		}
		r->is_last = r->at[4] & END_HEADERS;
		if (wanted == HEADERS && r->at[4] & PADDED) {
			if (left == FRAME_HEAD) {
				stop(r, SG_MATCH_MORE);
				return;
			}
			r->padding = r->at[FRAME_HEAD];
			before = 1;
		}
		if (wanted == HEADERS && r->at[4] & PRIORITY)
			before += 5;
		if (before + r->padding > size)
			stop(r, SG_MATCH_NO);
		else if (left < FRAME_HEAD + before)
			stop(r, SG_MATCH_MORE);
		else
			r->at += FRAME_HEAD + before;
		r->block = size - before - r->padding;
		return;
	}
}

static __u8 byte(struct reader *r)
{
	while (!r->block && r->match == SG_MATCH_CERTAIN) {
		if (r->is_last) {
			stop(r, SG_MATCH_NO);
		} else if ((__u32)(r->end - r->at) < r->padding) {
			stop(r, SG_MATCH_MORE);
		} else {
			r->at += r->padding;
			r->padding = 0;
			next_frame(r, CONTINUATION);
		}
	}
	if (r->match == SG_MATCH_CERTAIN && r->at == r->end)
		stop(r, SG_MATCH_MORE);
	if (r->match != SG_MATCH_CERTAIN)
		return 0;
	r->block--;
	return *r->at++;
}

/* A number whose first bits are in `first`. */
static __u32 number(struct reader *r, __u8 first, __u32 most)
{
	__u32 value = first & most, shift = 0;
	__u8 next;

	if (value < most)
		return value;
	do {
		next = byte(r);
		value += (__u32)(next & 0x7f) << shift;
		shift += 7;
	} while (next & 0x80 && shift < 21);
	if (next & 0x80)
		stop(r, SG_MATCH_NO);
	return value;
}

static void text(struct reader *r, struct sg_hpack_text *out)
{
	__u8 first = byte(r);

	out->is_huffman = first >> 7;
	out->len = number(r, first, 0x7f);
	for (__u32 i = 0; i < out->len && r->match == SG_MATCH_CERTAIN; i++) {
		__u8 one = byte(r);

		if (i < SG_HPACK_TEXT)
			out->bytes[i] = one;
	}
}

enum sg_match sg_hpack_find(const struct sg_prefix *prefix, int (*is_it)(const struct sg_hpack_field *field))
{
	const __u8 *at = prefix->data[0];
	struct reader r = { .at = at + PREFACE, .end = at + prefix->len[0], .match = SG_MATCH_CERTAIN };

	if (prefix->len[0] < PREFACE)
		return SG_MATCH_MORE;
	next_frame(&r, HEADERS);
	while (r.match == SG_MATCH_CERTAIN) {
		struct sg_hpack_field field = { 0 };
		__u8 first = byte(&r);

		if (first & 0x80) {
			number(&r, first, 0x7f);
			continue;
		}
		if ((first & 0xe0) == 0x20) {
			number(&r, first, 0x1f);
			continue;
		}
		field.index = number(&r, first, first & 0x40 ? 0x3f : 0x0f);
		if (!field.index)
			text(&r, &field.name);
		text(&r, &field.value);
		if (r.match == SG_MATCH_CERTAIN && is_it(&field))
			return SG_MATCH_CERTAIN;
	}
	return r.match;
}
