/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Decodes bodies; see the header. In: bytes. Out: bytes, or why there are no more. No I/O. */
#include "inflate/sg_unzip.h"

#include <stddef.h>

#include "inflate/sg_arena.h"
#include "inflate/sg_codecs.h"

enum { GZIP_FIRST = 0x1f, WINDOW_BITS = 15, WITH_GZIP = 16, NO_FLUSH = 0 };
enum { BEGINS = 0, RUNS, WHOLE, REST };	/* where the coded bytes are */

struct sg_unzip {
	struct sg_arena arena;
	struct sg_unzip_limits limits;
	struct sg_zlib_stream zlib;
	void *brotli;
	__u64 out;
	__u64 credit;		/* bytes that may still come out for those that went in */
	__u8 coding;
	__u8 state;
	__u8 result;		/* enum sg_unzip_result */
	__u8 has_first;		/* of deflate: one byte does not tell whether it has a head */
	__u8 first;
};

/* Bytes to decode, and who takes what comes out. */
struct feed {
	const __u8 *at;
	__u32 len;
	sg_unzip_reader reader;
	void *ctx;
};

__u32 sg_unzip_load(void)
{
	sg_codecs_load();
	return (sg_codecs_zlib() ? 1U << SG_UNZIP_GZIP | 1U << SG_UNZIP_DEFLATE : 0) |
	       (sg_codecs_brotli() ? 1U << SG_UNZIP_BROTLI : 0);
}

__u32 sg_unzip_arena(__u8 coding)
{
	switch (coding) {
	case SG_UNZIP_GZIP:
	case SG_UNZIP_DEFLATE:
		return sg_codecs_zlib() ? SG_UNZIP_ZLIB_ARENA : 0;
	case SG_UNZIP_BROTLI:
		return sg_codecs_brotli() ? SG_UNZIP_BROTLI_ARENA : 0;
	default:
		return 0;
	}
}

static void *take_items(void *opaque, unsigned int items, unsigned int size)
{
	return sg_arena_take(opaque, (__u64)items * size);
}

static void *take(void *opaque, size_t size)
{
	return sg_arena_take(opaque, size);
}

static void give(void *opaque, void *piece)
{
	sg_arena_give(opaque, piece);
}

/* Begin to decode; `bits` say what head zlib expects. */
static int begin_zlib(struct sg_unzip *stream, int bits)
{
	const struct sg_zlib *zlib = sg_codecs_zlib();

	stream->zlib = (struct sg_zlib_stream){ .alloc = take_items, .free = give, .opaque = &stream->arena };
	stream->state = RUNS;
	return zlib->init(&stream->zlib, bits, zlib->version(), (int)sizeof(stream->zlib));
}

struct sg_unzip *sg_unzip_begin(void *arena, __u32 size, __u8 coding, const struct sg_unzip_limits *limits)
{
	struct sg_unzip *stream;
	struct sg_arena all;

	if (!sg_unzip_arena(coding) || size < sg_unzip_arena(coding))
		return NULL;
	sg_arena_init(&all, arena, size);
	stream = sg_arena_take(&all, sizeof(*stream));
	if (!stream)
		return NULL;
	*stream = (struct sg_unzip){
		.arena = all, .limits = *limits, .credit = SG_UNZIP_BURST, .coding = coding,
	};
	if (coding == SG_UNZIP_GZIP && begin_zlib(stream, WINDOW_BITS + WITH_GZIP))
		return NULL;
	if (coding != SG_UNZIP_BROTLI)
		return stream;
	stream->brotli = sg_codecs_brotli()->create(take, give, &stream->arena);
	stream->state = RUNS;
	return stream->brotli ? stream : NULL;
}

__u32 sg_unzip_used(const struct sg_unzip *stream)
{
	return stream->arena.used;
}

int sg_unzip_is_whole(const struct sg_unzip *stream)
{
	return stream->state >= WHOLE;
}

/* Hand bytes on, of which SG_UNZIP_PIECE at most. */
static enum sg_unzip_result hand_on(struct sg_unzip *stream, const struct feed *feed, const __u8 *bytes, __u32 len)
{
	if (!len)
		return SG_UNZIP_MORE;
	if (len > stream->credit)
		return SG_UNZIP_BOMB;
	stream->credit -= len;
	stream->out += len;
	if (stream->out > stream->limits.total)
		return SG_UNZIP_LONG;
	return feed->reader(feed->ctx, bytes, len) ? SG_UNZIP_STOPPED : SG_UNZIP_MORE;
}

/* Hand on what is behind the end as it is. */
static enum sg_unzip_result hand_on_rest(struct sg_unzip *stream, struct feed *feed)
{
	enum sg_unzip_result said = SG_UNZIP_MORE;

	while (feed->len && !said) {
		__u32 len = feed->len < SG_UNZIP_PIECE ? feed->len : SG_UNZIP_PIECE;

		said = hand_on(stream, feed, feed->at, len);
		feed->at += len;
		feed->len -= len;
	}
	return said;
}

/* Say why a library does not go on. */
static enum sg_unzip_result why(const struct sg_unzip *stream)
{
	return stream->arena.failed ? SG_UNZIP_NO_ROOM : SG_UNZIP_BROKEN;
}

static enum sg_unzip_result run_zlib(struct sg_unzip *stream, struct feed *feed)
{
	__u8 piece[SG_UNZIP_PIECE];
	enum sg_unzip_result said;
	int result;

	do {
		stream->zlib.next_in = feed->at;
		stream->zlib.avail_in = feed->len;
		stream->zlib.next_out = piece;
		stream->zlib.avail_out = sizeof(piece);
		result = sg_codecs_zlib()->inflate(&stream->zlib, NO_FLUSH);
		feed->at = stream->zlib.next_in;
		feed->len = stream->zlib.avail_in;
		said = hand_on(stream, feed, piece, (__u32)sizeof(piece) - stream->zlib.avail_out);
		if (said)
			return said;
		if (result == SG_Z_STREAM_END) {
			stream->state = WHOLE;
			return SG_UNZIP_MORE;
		}
		if (result != SG_Z_OK && result != SG_Z_BUF_ERROR)
			return why(stream);
	} while (feed->len || !stream->zlib.avail_out);
	return SG_UNZIP_MORE;
}

static enum sg_unzip_result run_brotli(struct sg_unzip *stream, struct feed *feed)
{
	const struct sg_brotli *brotli = sg_codecs_brotli();
	int result;

	do {
		size_t in = feed->len, room = 0, size = SG_UNZIP_PIECE;
		enum sg_unzip_result said;
		const __u8 *out;

		result = brotli->decompress(stream->brotli, &in, &feed->at, &room, NULL, NULL);
		feed->len = (__u32)in;
		if (result == SG_BR_ERROR)
			return why(stream);
		out = brotli->take_output(stream->brotli, &size);
		said = hand_on(stream, feed, out, (__u32)size);
		if (said)
			return said;
	} while (result == SG_BR_MORE_OUTPUT);
	if (result == SG_BR_SUCCESS)
		stream->state = WHOLE;
	return SG_UNZIP_MORE;
}

/* Tell by two bytes whether deflated bytes have zlib's head (RFC 1950), and begin. */
static enum sg_unzip_result begin_deflate(struct sg_unzip *stream, struct feed *feed)
{
	struct feed held = { .at = &stream->first, .len = 1, .reader = feed->reader, .ctx = feed->ctx };
	int has_head;

	if (!stream->has_first) {
		stream->first = *feed->at++;
		stream->has_first = 1;
		if (!--feed->len)
			return SG_UNZIP_MORE;
	}
	has_head = (stream->first & 15) == 8 && stream->first >> 4 <= 7 && (stream->first << 8 | feed->at[0]) % 31 == 0;
	if (begin_zlib(stream, has_head ? WINDOW_BITS : -WINDOW_BITS))
		return why(stream);
	return run_zlib(stream, &held);
}

static enum sg_unzip_result run(struct sg_unzip *stream, struct feed *feed)
{
	enum sg_unzip_result said = SG_UNZIP_MORE;

	while (feed->len && !said) {
		/* Behind a member of gzip there may be another. */
		if (stream->state == WHOLE && stream->coding == SG_UNZIP_GZIP && *feed->at == GZIP_FIRST) {
			sg_codecs_zlib()->reset(&stream->zlib);
			stream->state = RUNS;
		}
		/* Behind anything else there is none. */
		if (stream->state == WHOLE)
			stream->state = REST;
		if (stream->state == REST)
			said = hand_on_rest(stream, feed);
		else if (stream->state == BEGINS)
			said = begin_deflate(stream, feed);
		else if (stream->coding == SG_UNZIP_BROTLI)
			said = run_brotli(stream, feed);
		else
			said = run_zlib(stream, feed);
	}
	return said;
}

enum sg_unzip_result sg_unzip_add(struct sg_unzip *stream, const __u8 *bytes, __u32 len, sg_unzip_reader reader,
				      void *ctx)
{
	struct feed feed = { .at = bytes, .len = len, .reader = reader, .ctx = ctx };

	if (stream->result || !len)
		return stream->result;
	stream->credit += (__u64)len * stream->limits.ratio;
	if (stream->credit > SG_UNZIP_AHEAD + (__u64)len * stream->limits.ratio)
		stream->credit = SG_UNZIP_AHEAD + (__u64)len * stream->limits.ratio;
	stream->result = (__u8)run(stream, &feed);
	return stream->result;
}
