/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reads a ClientHello (RFC 8446, 5246; SSL 2's form of it in RFC 5246 E.2). In: bytes. Out: a match. Pure. */
#include "apps_crypt/sg_hello.h"
#include "base/sg_bytes.h"

#define RECORD_HEAD 5
#define RECORD_MAX 16384U
#define HANDSHAKE 22
#define CLIENT_HELLO 1
#define MESSAGE_HEAD 4
#define HELLO_MIN 38U
#define HELLO_MAX 65536U
#define EXTENSION_ALPN 16

/* Reads the message; what is behind its end is not there, and what is behind `end` is not there yet. */
struct reader {
	const __u8 *at;
	const __u8 *end;
	__u32 left;		/* bytes of the message */
	enum sg_match match;	/* CERTAIN until it ends too soon (MORE), or is none (NO) */
};

static inline void stop(struct reader *r, enum sg_match why)
{
	if (r->match == SG_MATCH_CERTAIN)
		r->match = why;
}

/* What ended too soon needs nothing any more. */
static inline void need(struct reader *r, int is_so)
{
	if (!is_so)
		stop(r, SG_MATCH_NO);
}

/* Go over so many bytes, and return where they begin; NULL: they are not there. */
static inline const __u8 *take(struct reader *r, __u32 count)
{
	const __u8 *begin = r->at;

	need(r, count <= r->left);
	if ((__u32)(r->end - r->at) < count)
		stop(r, SG_MATCH_MORE);
	if (r->match != SG_MATCH_CERTAIN)
		return NULL;
	r->at += count;
	r->left -= count;
	return begin;
}

/* Read a number; 0: it is not there. */
static inline __u32 number8(struct reader *r)
{
	const __u8 *at = take(r, 1);

	return at ? *at : 0;
}

static inline __u32 number16(struct reader *r)
{
	const __u8 *at = take(r, 2);

	return at ? sg_get16(at) : 0;
}

static void read_alpn(struct reader *r, __u32 size, struct sg_hello *hello)
{
	__u32 behind = r->left - size;

	need(r, number16(r) + 2 == size);
	while (r->match == SG_MATCH_CERTAIN && r->left > behind) {
		__u32 length = number8(r);
		const __u8 *name;

		need(r, length && length <= r->left - behind);
		name = take(r, length);
		if (name && length == 3 && !memcmp(name, "dot", 3))
			hello->offers_dot = 1;
	}
}

static void read_extensions(struct reader *r, struct sg_hello *hello)
{
	__u32 all;

	if (!r->left)
		return;
	all = number16(r);
	need(r, all == r->left);
	while (r->match == SG_MATCH_CERTAIN && r->left) {
		__u32 type = number16(r), size = number16(r);

		need(r, size <= r->left);
		if (type == EXTENSION_ALPN && r->match == SG_MATCH_CERTAIN)
			read_alpn(r, size, hello);
		else
			take(r, size);
	}
}

/* Version, random, session, ciphers, compressions, extensions. */
static void read_body(struct reader *r, struct sg_hello *hello)
{
	__u32 size;

	take(r, 2 + 32);
	size = number8(r);
	need(r, size <= 32);
	take(r, size);
	size = number16(r);
	need(r, size && !(size & 1));
	take(r, size);
	size = number8(r);
	need(r, size);
	take(r, size);
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
	ciphers = sg_get16(at + 5);
	session = sg_get16(at + 7);
	challenge = sg_get16(at + 9);
	if (!ciphers || ciphers % 3 || (session && session != 16) || challenge < 16 || challenge > 32)
		return SG_MATCH_NO;
	if ((sg_get16(at) & 0x7fffU) != 9 + ciphers + session + challenge)
		return SG_MATCH_NO;
	return len < 11 + ciphers + session + challenge ? SG_MATCH_GUESS : SG_MATCH_CERTAIN;
}

/* What is there of a record's head says whether it is one. */
static int is_record(const __u8 *at, __u32 len)
{
	if ((len > 0 && at[0] != HANDSHAKE) || (len > 1 && at[1] != 3) || (len > 2 && at[2] > 4))
		return 0;
	return len < RECORD_HEAD || (sg_get16(at + 3) && sg_get16(at + 3) <= RECORD_MAX);
}

/* What is there of the message's head and version says whether it is a ClientHello. */
static int is_hello(const __u8 *at, __u32 len)
{
	__u32 size = len < MESSAGE_HEAD ? HELLO_MIN : sg_get32(at) & 0xffffff;

	if (len && at[0] != CLIENT_HELLO)
		return 0;
	return size >= HELLO_MIN && size <= HELLO_MAX && (len < 5 || at[4] == 3) && (len < 6 || at[5] <= 4);
}

/* Put what the records hold together, as far as it goes; return how much that is, -1 if something else is between. */
static int join(const __u8 *at, __u32 len, __u8 *out)
{
	__u32 joined = 0;

	while (len) {
		__u32 size;

		if (joined >= MESSAGE_HEAD && joined >= MESSAGE_HEAD + (sg_get32(out) & 0xffffff))
			break;
		if (!is_record(at, len))
			return -1;
		if (len <= RECORD_HEAD)
			break;
		at += RECORD_HEAD;
		len -= RECORD_HEAD;
		size = sg_get16(at - 2) < len ? sg_get16(at - 2) : len;
		memcpy(out + joined, at, size);
		joined += size;
		at += size;
		len -= size;
	}
	return (int)joined;
}

enum sg_match sg_hello_read(const __u8 *at, __u32 len, struct sg_hello *hello)
{
	__u8 joined[SG_PREFIX_BYTES];
	struct reader r = { .match = SG_MATCH_CERTAIN };
	int size;

	hello->offers_dot = 0;
	len = len < SG_PREFIX_BYTES ? len : SG_PREFIX_BYTES;
	if (!len || at[0] & 0x80)
		return len ? read_old(at, len) : SG_MATCH_MORE;
	if (!is_record(at, len))
		return SG_MATCH_NO;
	r.at = at + RECORD_HEAD;
	size = len < RECORD_HEAD ? 0 : (int)len - RECORD_HEAD;
	/* The usual hello is one record's, and is read where it lies. */
	if (size < MESSAGE_HEAD || MESSAGE_HEAD + (sg_get32(r.at) & 0xffffff) > sg_get16(at + 3)) {
		size = join(at, len, joined);
		r.at = joined;
	}
	if (size < 0 || !is_hello(r.at, (__u32)size))
		return SG_MATCH_NO;
	if (size < MESSAGE_HEAD + 2)
		return SG_MATCH_MORE;
	r.end = r.at + size;
	r.left = sg_get32(r.at) & 0xffffff;
	r.at += MESSAGE_HEAD;
	read_body(&r, hello);
	return r.match == SG_MATCH_MORE ? SG_MATCH_GUESS : r.match;
}
