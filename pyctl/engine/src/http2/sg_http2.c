/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reads a client's side; see the header. In: bytes. Out: requests, and which bytes are no matter. */
#include "http2/sg_http2.h"

#include <string.h>

#include "base/sg_bytes.h"
#include "http2/sg_http2_head.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

enum { START = 0, FIRST_FRAME, FRAMES };	/* what the next unit is */
enum { FRAME_HEAD = 9, PRIORITY_LEN = 5, FIELD_LEN = 32 };	/* bytes */
enum type {
	DATA = 0, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION,
};
enum flag { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8, HAS_PRIORITY = 32 };

struct frame {
	__u32 len;		/* behind its head */
	__u32 stream;
	__u8 type;
	__u8 flags;
};

/* A header block in its frames. */
struct block {
	__u32 bytes;		/* of its frames */
	__u32 fragments;
	struct {
		const __u8 *at;
		__u32 len;
	} fragment[1 + SG_HTTP2_CONTINUATIONS];
};

int sg_http2_begin(struct sg_http2_reader *reader, struct sg_streams *all, __u32 last_stream)
{
	*reader = (struct sg_http2_reader){ .inflater = sg_inflater_new(all), .last_stream = last_stream };
	return reader->inflater ? 0 : -1;
}

void sg_http2_end(struct sg_http2_reader *reader)
{
	sg_inflater_free(reader->inflater);
	reader->inflater = NULL;
}

static struct sg_http_step step(enum sg_http_unit unit, __u32 used)
{
	return (struct sg_http_step){ .unit = unit, .used = used };
}

static struct frame read_head(const __u8 *at)
{
	return (struct frame){
		.len = sg_get32(at) >> 8, .type = at[3], .flags = at[4], .stream = sg_get32(at + 5) & 0x7fffffff,
	};
}

/* Whether the frame is one that a client may send here, of which nothing else is of matter. */
static int is_passing(const struct sg_http2_reader *reader, const struct frame *frame)
{
	switch (frame->type) {
	case DATA:
		return frame->stream & 1 && frame->stream <= reader->last_stream;
	case PRIORITY:
		return frame->stream && frame->len == PRIORITY_LEN;
	case RST_STREAM:
		return frame->stream && frame->len == 4;
	case SETTINGS:
		return !frame->stream && (frame->flags & ACK ? !frame->len : !(frame->len % 6));
	case PING:
		return !frame->stream && frame->len == 8;
	case GOAWAY:
		return !frame->stream && frame->len >= 8;
	case WINDOW_UPDATE:
		return frame->len == 4;
	case HEADERS:
	case PUSH_PROMISE:
	case CONTINUATION:
		return 0;
	default:
		/* Frames that a server does not know it leaves out (RFC 9113, 5.5). */
		return 1;
	}
}

/* Cut padding and priority off the first frame's payload. -1: there is less than that. */
static int cut_first(const struct frame *frame, const __u8 **at, __u32 *len)
{
	__u32 before = (frame->flags & PADDED ? 1 : 0) + (frame->flags & HAS_PRIORITY ? PRIORITY_LEN : 0), behind;

	if (frame->len < before)
		return -1;
	behind = frame->flags & PADDED ? (*at)[0] : 0;
	if (frame->len - before < behind)
		return -1;
	*at += before;
	*len = frame->len - before - behind;
	return 0;
}

/* Find the frames of the block that begins here. 1: it is whole; 0: not yet; -1: it is none, or too long. */
static int find_block(const __u8 *bytes, __u32 len, struct block *block)
{
	__u32 stream = 0;

	block->bytes = block->fragments = 0;
	while (len - block->bytes >= FRAME_HEAD) {
		const __u8 *at = bytes + block->bytes + FRAME_HEAD;
		struct frame frame = read_head(at - FRAME_HEAD);
		__u32 count = frame.len;

		if (block->fragments && (frame.type != CONTINUATION || frame.stream != stream))
			return -1;
		if (block->fragments > SG_HTTP2_CONTINUATIONS || block->bytes + FRAME_HEAD + frame.len > SG_HTTP_HEAD_MAX)
			return -1;
		if (len - block->bytes - FRAME_HEAD < frame.len)
			return 0;
		if (!block->fragments && cut_first(&frame, &at, &count))
			return -1;
		stream = frame.stream;
		block->fragment[block->fragments].at = at;
		block->fragment[block->fragments++].len = count;
		block->bytes += FRAME_HEAD + frame.len;
		if (frame.flags & END_HEADERS)
			return 1;
	}
	return 0;
}

/* Read the block's fields. Returns SG_HTTP_FRAMING if all could be. */
static enum sg_http_unit read_fields(struct sg_http2_reader *reader, const struct block *block, struct sg_http2_head *head)
{
	__u32 most = reader->left < SG_HTTP2_LIST ? reader->left : SG_HTTP2_LIST, size = 0;

	reader->decodes = 1;
	for (__u32 i = 0; i < block->fragments; i++) {
		const __u8 *at = block->fragment[i].at;
		__u32 len = block->fragment[i].len;
		struct sg_inflate_field field;
		enum sg_inflated found;

		while ((found = sg_inflate(reader->inflater, &at, &len, i + 1 == block->fragments, &field)) ==
		       SG_INFLATED_FIELD) {
			size += field.name_len + field.value_len + FIELD_LEN;
			if (size > most || sg_http2_head_add(head, &field))
				return SG_HTTP_WRONG;
		}
		if (found != SG_INFLATED_ALL)
			return found == SG_INFLATED_NO_ROOM ? SG_HTTP_NO_ROOM : SG_HTTP_WRONG;
	}
	reader->left -= size;
	return SG_HTTP_FRAMING;
}

static struct sg_http_step read_request(struct sg_http2_reader *reader, const struct frame *frame, const __u8 *bytes,
					__u32 len, struct sg_http_request *request)
{
	struct sg_http2_head head;
	struct block block;
	enum sg_http_unit unit;
	int whole;

	if (!(frame->stream & 1))
		return step(SG_HTTP_WRONG, 0);
	whole = find_block(bytes, len, &block);
	if (whole <= 0)
		return step(whole ? SG_HTTP_WRONG : SG_HTTP_MORE, 0);
	sg_http2_head_begin(&head, request);
	unit = read_fields(reader, &block, &head);
	if (unit != SG_HTTP_FRAMING)
		return step(unit, 0);
	if (frame->stream <= reader->last_stream)
		return step(frame->flags & END_STREAM && sg_http2_head_is_trailer(&head) ? SG_HTTP_FRAMING : SG_HTTP_WRONG,
			    block.bytes);
	if (sg_http2_head_end(&head, frame->flags & END_STREAM))
		return step(SG_HTTP_WRONG, 0);
	reader->last_stream = frame->stream;
	return step(SG_HTTP_REQUEST, block.bytes);
}

static struct sg_http_step read_preface(struct sg_http2_reader *reader, const __u8 *bytes, __u32 len)
{
	__u32 size = sizeof(PREFACE) - 1;

	if (memcmp(bytes, PREFACE, len < size ? len : size))
		return step(SG_HTTP_WRONG, 0);
	if (len < size)
		return step(SG_HTTP_MORE, 0);
	reader->state = FIRST_FRAME;
	return step(SG_HTTP_FRAMING, size);
}

struct sg_http_step sg_http2_read(struct sg_http2_reader *reader, const __u8 *bytes, __u32 len,
				  struct sg_http_request *request)
{
	struct sg_http_step passing = { .unit = SG_HTTP_FRAMING, .used = FRAME_HEAD };
	struct frame frame;

	if (reader->state == START && len)
		return read_preface(reader, bytes, len);
	if (len < FRAME_HEAD)
		return step(SG_HTTP_MORE, 0);
	frame = read_head(bytes);
	if (reader->state == FIRST_FRAME && (frame.type != SETTINGS || frame.flags & ACK))
		return step(SG_HTTP_WRONG, 0);
	if (frame.type == HEADERS)
		return read_request(reader, &frame, bytes, len, request);
	if (!is_passing(reader, &frame))
		return step(SG_HTTP_WRONG, 0);
	reader->state = FRAMES;
	passing.body = frame.len;
	return passing;
}
