/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* QUIC: the client's Initial packet, padded as it must be, or an answer to its connection id, is proof. Pure.
 * Versions 1 and 2, their drafts, what clients send to make servers name theirs, and Google's versions before them. */
#include "apps_crypt/sg_apps_crypt.h"
#include "base/sg_bytes.h"

#define INITIAL_DATAGRAM 1200	/* RFC 9000: a client pads it to this */
#define CID_MAX 20
#define FIRST_CID_MIN 8
#define VERSION_2 0x6b3343cfU
#define GOOGLE_BEFORE 0x51303436U	/* "Q046": the last one with a header of its own */

/* A long header by what no version changes (RFC 8999). */
struct head {
	__u32 version;
	const __u8 *target;
	const __u8 *source;
	__u8 target_len;
	__u8 source_len;
	__u32 length;		/* of all this; 0: it is none */
};

static struct head read_head(const __u8 *at, __u32 len)
{
	struct head head = { 0 };

	if (len < 7 || !(at[0] & 0x80) || at[5] > CID_MAX || 7U + at[5] > len)
		return head;
	head.version = sg_get32(at + 1);
	head.target_len = at[5];
	head.target = at + 6;
	head.source_len = head.target[head.target_len];
	head.source = head.target + head.target_len + 1;
	if (head.source_len <= CID_MAX && 7U + head.target_len + head.source_len <= len)
		head.length = 7U + head.target_len + head.source_len;
	return head;
}

static int is_version(__u32 version)
{
	if (version == 1 || version == VERSION_2 || (version & 0x0f0f0f0f) == 0x0a0a0a0a)
		return 1;
	if ((version >= 0xff000017 && version <= 0xff000022) || (version >> 8) == 0xfaceb0)
		return 1;
	return version == 0x51303530 || version == 0x54303530 || version == 0x54303531;	/* Q050, T050, T051 */
}

/* Google's first headers: flags, connection id, version; or in Q046 flags, version, lengths, connection id. */
static int is_google(const __u8 *at, __u32 len)
{
	if (len < INITIAL_DATAGRAM)
		return 0;
	if (at[0] & 0x80)
		return sg_get32(at + 1) == GOOGLE_BEFORE && at[5] == 0x50;
	return (at[0] & 0xc9) == 9 && at[9] == 'Q' && at[10] == '0' && at[11] >= '2' && at[11] <= '4' &&
	       at[12] >= '0' && at[12] <= '9';
}

/* Read a variable-length number, and go behind it; -1: there is none. */
static __s64 number(const __u8 **at, const __u8 *end)
{
	__u32 size = *at < end ? 1U << (**at >> 6) : 1;
	__u64 value;

	if ((__u32)(end - *at) < size)
		return -1;
	value = **at & 0x3f;
	for (__u32 i = 1; i < size; i++)
		value = value << 8 | (*at)[i];
	*at += size;
	return (__s64)value;
}

/* Whether a packet of this type fits into the datagram: an Initial with its token, or one of 0-RTT that overtook it. */
static int is_whole(const struct head *head, const __u8 *at, __u32 len, int is_initial)
{
	const __u8 *end = at + len, *next = at + head->length;
	__u8 type = (__u8)((head->version == VERSION_2 ? 0xd0 : 0xc0) + (is_initial ? 0 : 0x10));
	__s64 size;

	if ((at[0] & 0xf0) != type)
		return 0;
	if (is_initial) {
		size = number(&next, end);
		if (size < 0 || size > end - next)
			return 0;
		next += size;
	}
	size = number(&next, end);
	return size >= 20 && size <= end - next;
}

/* The answer is to the client's source, and from its target or from whatever the server calls itself. */
static int is_answer(const struct head *asked, const __u8 *at, __u32 len)
{
	struct head head = read_head(at, len);

	if (!head.length || head.target_len != asked->source_len ||
	    memcmp(head.target, asked->source, asked->source_len))
		return 0;
	if (head.version)
		return head.version == asked->version;
	return head.source_len == asked->target_len && !memcmp(head.source, asked->target, asked->target_len);
}

enum sg_match sg_app_quic(const struct sg_prefix *prefix)
{
	const __u8 *at = prefix->data[0];
	__u32 len = prefix->len[0];
	struct head head;
	int is_initial;

	if (!len)
		return SG_MATCH_MORE;
	if (is_google(at, len))
		return SG_MATCH_CERTAIN;
	head = read_head(at, len);
	if (!head.length || !is_version(head.version))
		return SG_MATCH_NO;
	is_initial = is_whole(&head, at, len, 1);
	if (!is_initial && !is_whole(&head, at, len, 0))
		return SG_MATCH_NO;
	if (prefix->len[1] && is_answer(&head, prefix->data[1], prefix->len[1]))
		return SG_MATCH_CERTAIN;
	return is_initial && len >= INITIAL_DATAGRAM && head.target_len >= FIRST_CID_MIN ? SG_MATCH_CERTAIN :
											   SG_MATCH_GUESS;
}
