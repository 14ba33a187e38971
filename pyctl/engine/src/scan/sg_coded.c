/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Bodies that may be compressed; see the header. In: bytes. Out: bytes. No I/O. */
#include "scan/sg_coded.h"

#include <stddef.h>

#include "http/sg_http_request.h"

_Static_assert((int)SG_UNZIP_GZIP == (int)SG_HTTP_GZIP, "one number for gzip");
_Static_assert((int)SG_UNZIP_DEFLATE == (int)SG_HTTP_DEFLATE, "one number for deflate");
_Static_assert((int)SG_UNZIP_BROTLI == (int)SG_HTTP_BROTLI, "one number for brotli");

enum { USUAL = 1 << 20 };	/* what a body in brotli takes at most, unless it is a large one */

__u32 sg_coded_bytes(__u8 coding)
{
	__u32 size = sg_unzip_arena(coding);

	return size < USUAL ? size : USUAL;
}

/* Count what is touched of the arena. */
static void count(struct sg_coded *coded, struct sg_streams *all, __u32 bytes)
{
	sg_streams_resize(all, coded->counted, bytes);
	coded->counted = bytes;
}

enum sg_coded_why sg_coded_begin(struct sg_coded *coded, struct sg_streams *all, __u8 coding, int has_room)
{
	static const struct sg_unzip_limits limits = { .total = SG_CODED_TOTAL, .ratio = SG_CODED_RATIO };
	__u32 size = sg_unzip_arena(coding);

	sg_coded_end(coded, all);
	if (coding == SG_HTTP_PLAIN)
		return SG_CODED_FINE;
	if (!size)
		return SG_CODED_UNKNOWN;
	coded->arena = has_room ? sg_streams_take(all, size, 0) : NULL;
	if (!coded->arena)
		return SG_CODED_NO_ROOM;
	coded->size = coded->counted = size;
	coded->coding = coding;
	coded->stream = sg_unzip_begin(coded->arena, size, coding, &limits);
	if (!coded->stream) {
		sg_coded_end(coded, all);
		return SG_CODED_NO_ROOM;
	}
	count(coded, all, sg_unzip_used(coded->stream));
	return SG_CODED_FINE;
}

enum sg_coded_why sg_coded_add(struct sg_coded *coded, struct sg_streams *all, const __u8 *bytes, __u32 len,
			       sg_unzip_reader reader, void *ctx)
{
	enum sg_unzip_result result;

	if (!coded->stream) {
		reader(ctx, bytes, len);
		return SG_CODED_FINE;
	}
	result = sg_unzip_add(coded->stream, bytes, len, reader, ctx);
	count(coded, all, sg_unzip_used(coded->stream));
	if (result == SG_UNZIP_MORE && coded->counted > USUAL && sg_streams_bytes(all) > SG_CODED_ALL) {
		sg_coded_end(coded, all);
		return SG_CODED_NO_ROOM;
	}
	/* What is behind the end is as it is; of gzip it may be another member. */
	if (sg_unzip_is_whole(coded->stream) && coded->coding != SG_HTTP_GZIP)
		sg_coded_end(coded, all);
	if (result == SG_UNZIP_MORE || result == SG_UNZIP_STOPPED)
		return SG_CODED_FINE;
	sg_coded_end(coded, all);
	reader(ctx, bytes, len);
	return (enum sg_coded_why)result;
}

void sg_coded_end(struct sg_coded *coded, struct sg_streams *all)
{
	if (coded->arena) {
		count(coded, all, coded->size);
		sg_streams_give(all, coded->arena, coded->size);
	}
	*coded = (struct sg_coded){ .stream = NULL };
}
