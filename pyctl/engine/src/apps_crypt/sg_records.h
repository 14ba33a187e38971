/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Records of TLS, and the handshake message that they hold together. Pure. */
#ifndef SG_RECORDS_H
#define SG_RECORDS_H

#include "base/sg_bytes.h"
#include "prefix/sg_prefix.h"

enum sg_record_limit { SG_RECORD_HEAD = 5, SG_MESSAGE_HEAD = 4 };

enum sg_record_type { SG_RECORD_CIPHER = 20, SG_RECORD_ALERT = 21, SG_RECORD_HANDSHAKE = 22, SG_RECORD_DATA = 23 };

/* A handshake message, as far as it is there: its type, its length (three bytes), what it says. */
struct sg_message {
	const __u8 *at;
	__u32 here;		/* bytes there */
	__u32 end;		/* of what was read: where the record ends in which the message does; 0: it does not end yet */
	__u8 shares;		/* with `end`: more is in that record */
};

/* Reads a message; what is behind its end is not there, and what is behind `end` is not there yet. */
struct sg_message_reader {
	const __u8 *at;
	const __u8 *end;
	__u32 left;		/* bytes of the message */
	enum sg_match match;	/* CERTAIN until it ends too soon (MORE), or is none (NO) */
};

/* Return whether what is there of a record's head is that of a handshake. */
int sg_record_is_handshake(const __u8 *at, __u32 len);
/* Find the message that begins with these records, which are put together in `joined` (SG_PREFIX_BYTES) if it takes more than
 * one. Returns 0 if something else is between them. */
int sg_message_find(const __u8 *at, __u32 len, __u8 *joined, struct sg_message *message);
/* Return how many bytes there are of records of these types, bits 1 << type, before another or an incomplete one. */
__u32 sg_records_skip(const __u8 *at, __u32 len, __u32 types);

static inline struct sg_message_reader sg_message_reader(const struct sg_message *message)
{
	return (struct sg_message_reader){
		.at = message->at + SG_MESSAGE_HEAD, .end = message->at + message->here,
		.left = sg_get32(message->at) & 0xffffff, .match = SG_MATCH_CERTAIN,
	};
}

/* What ended too soon needs nothing any more. */
static inline void sg_message_need(struct sg_message_reader *r, int is_so)
{
	if (!is_so && r->match == SG_MATCH_CERTAIN)
		r->match = SG_MATCH_NO;
}

/* Go over so many bytes, and return where they begin; NULL: they are not there. */
static inline const __u8 *sg_message_take(struct sg_message_reader *r, __u32 count)
{
	const __u8 *begin = r->at;

	sg_message_need(r, count <= r->left);
	if ((__u32)(r->end - r->at) < count && r->match == SG_MATCH_CERTAIN)
		r->match = SG_MATCH_MORE;
	if (r->match != SG_MATCH_CERTAIN)
		return NULL;
	r->at += count;
	r->left -= count;
	return begin;
}

/* Read a number; 0: it is not there. */
static inline __u32 sg_message_number8(struct sg_message_reader *r)
{
	const __u8 *at = sg_message_take(r, 1);

	return at ? *at : 0;
}

static inline __u32 sg_message_number16(struct sg_message_reader *r)
{
	const __u8 *at = sg_message_take(r, 2);

	return at ? sg_get16(at) : 0;
}

#endif
