/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reads a ClientHello (RFC 8446, 5246; SSL 2's form of it in RFC 5246 E.2). In: bytes. Out: a match. Pure. */
#include "apps_crypt/sg_hello.h"
#include "prefix/sg_text.h"

#define RECORD_HEAD 5
#define RECORD_MAX 16384U
#define HANDSHAKE 22
#define CLIENT_HELLO 1
#define HELLO_MAX 65536U
#define EXTENSION_ALPN 16

/* Reads a message that goes on from record to record. */
struct reader {
	const __u8 *at;
	const __u8 *end;
	__u32 record;		/* bytes that are left of the record */
	__u32 message;		/* of the message */
	enum sg_match match;	/* CERTAIN until it ends too soon (MORE), or is none (NO) */
};

static void stop(struct reader *r, enum sg_match why)
{
	if (r->match == SG_MATCH_CERTAIN)
		r->match = why;
}

/* What is there of the head says whether it is one. */
static int is_record(const __u8 *at, __u32 len)
{
	__u32 size;

	if ((len > 0 && at[0] != HANDSHAKE) || (len > 1 && at[1] != 3) || (len > 2 && at[2] > 4))
		return 0;
	if (len < RECORD_HEAD)
		return 1;
	size = (__u32)at[3] << 8 | at[4];
	return size && size <= RECORD_MAX;
}

static void next_record(struct reader *r)
{
	__u32 left = (__u32)(r->end - r->at);

	if (!is_record(r->at, left)) {
		stop(r, SG_MATCH_NO);
	} else if (left < RECORD_HEAD) {
		stop(r, SG_MATCH_MORE);
	} else {
		r->record = (__u32)r->at[3] << 8 | r->at[4];
		r->at += RECORD_HEAD;
	}
}

/* Pass over so many bytes of the message, and copy the first `room` of them to `out`. */
static void take(struct reader *r, __u32 count, __u8 *out, __u32 room)
{
	if (count > r->message)
		stop(r, SG_MATCH_NO);
	while (count && r->match == SG_MATCH_CERTAIN) {
		__u32 piece = (__u32)(r->end - r->at), copied;

		if (!r->record) {
			next_record(r);
			continue;
		}
		piece = piece < r->record ? piece : r->record;
		piece = piece < count ? piece : count;
		copied = piece < room ? piece : room;
		if (copied)
			memcpy(out, r->at, copied);
		out += copied;
		room -= copied;
		r->at += piece;
		r->record -= piece;
		r->message -= piece;
		count -= piece;
		if (!piece)
			stop(r, SG_MATCH_MORE);
	}
}

/* Pass over so many bytes: all at once, if they are there and in this record. */
static void skip(struct reader *r, __u32 count)
{
	if (r->match != SG_MATCH_CERTAIN)
		return;
	if (count > r->record || count > r->message || count > (__u32)(r->end - r->at)) {
		take(r, count, NULL, 0);
		return;
	}
	r->at += count;
	r->record -= count;
	r->message -= count;
}

/* Read a number of so many bytes; 0 where there is none. */
static __u32 number(struct reader *r, __u32 bytes)
{
	const __u8 *raw = r->at;
	__u8 pieces[3] = { 0 };
	__u32 value = 0;

	if (bytes <= r->record && bytes <= (__u32)(r->end - r->at)) {
		skip(r, bytes);
	} else {
		take(r, bytes, pieces, bytes);
		raw = pieces;
	}
	for (__u32 i = 0; i < bytes; i++)
		value = value << 8 | raw[i];
	return r->match == SG_MATCH_CERTAIN ? value : 0;
}

/* What ended too soon needs nothing any more. */
static void need(struct reader *r, int is_so)
{
	if (!is_so)
		stop(r, SG_MATCH_NO);
}

static void read_alpn(struct reader *r, __u32 size, struct sg_hello *hello)
{
	__u32 end = r->message - size;

	need(r, number(r, 2) + 2 == size);
	while (r->match == SG_MATCH_CERTAIN && r->message > end) {
		__u8 name[3] = { 0 };
		__u32 length = number(r, 1);

		need(r, length && length <= r->message - end);
		take(r, length, name, sizeof(name));
		if (length == 3 && !memcmp(name, "dot", 3))
			hello->offers_dot = 1;
	}
}

static void read_extensions(struct reader *r, struct sg_hello *hello)
{
	__u32 all;

	if (!r->message)
		return;
	all = number(r, 2);
	need(r, all == r->message);
	while (r->match == SG_MATCH_CERTAIN && r->message) {
		__u32 type = number(r, 2), size = number(r, 2);

		need(r, size <= r->message);
		if (type == EXTENSION_ALPN && r->match == SG_MATCH_CERTAIN)
			read_alpn(r, size, hello);
		else
			skip(r, size);
	}
}

static void read_body(struct reader *r, struct sg_hello *hello)
{
	__u32 size = number(r, 1);

	need(r, size <= 32);
	skip(r, size);
	size = number(r, 2);
	need(r, size && !(size & 1));
	skip(r, size);
	size = number(r, 1);
	need(r, size);
	skip(r, size);
	if (r->match == SG_MATCH_CERTAIN)
		read_extensions(r, hello);
}

/* SSL 2's form, from clients that offer both. */
static enum sg_match read_old(const __u8 *at, __u32 len)
{
	__u32 ciphers, session, challenge;

	if ((len > 2 && at[2] != CLIENT_HELLO) || (len > 3 && at[3] != 3 && at[3] != 0) ||
	    (len > 4 && at[4] > (at[3] ? 4 : 2)))
		return SG_MATCH_NO;
	if (len < 11)
		return SG_MATCH_MORE;
	ciphers = (__u32)at[5] << 8 | at[6];
	session = (__u32)at[7] << 8 | at[8];
	challenge = (__u32)at[9] << 8 | at[10];
	if (!ciphers || ciphers % 3 || (session && session != 16) || challenge < 16 || challenge > 32)
		return SG_MATCH_NO;
	if (((__u32)(at[0] & 0x7f) << 8 | at[1]) != 9 + ciphers + session + challenge)
		return SG_MATCH_NO;
	return len < 11 + ciphers + session + challenge ? SG_MATCH_GUESS : SG_MATCH_CERTAIN;
}

enum sg_match sg_hello_read(const __u8 *at, __u32 len, struct sg_hello *hello)
{
	struct reader r = { .at = at, .end = at + len, .message = 4 + 34, .match = SG_MATCH_CERTAIN };
	__u32 size, version;

	hello->offers_dot = 0;
	if (!len)
		return SG_MATCH_MORE;
	if (at[0] & 0x80)
		return read_old(at, len);
	need(&r, number(&r, 1) == CLIENT_HELLO);
	size = number(&r, 3);
	need(&r, size >= 34 + 4 && size <= HELLO_MAX);
	r.message = size;
	version = number(&r, 2);
	need(&r, version >= 0x0300 && version <= 0x0304);
	if (r.match != SG_MATCH_CERTAIN)
		return r.match;
	skip(&r, 32);
	read_body(&r, hello);
	return r.match == SG_MATCH_MORE ? SG_MATCH_GUESS : r.match;
}
