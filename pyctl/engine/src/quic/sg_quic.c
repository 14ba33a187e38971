/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reads clients' handshakes; see the header. In: datagrams. Out: the bytes of CRYPTO frames in order. No I/O.
 *
 * A client keeps the keys of its first packet, whatever connection id it uses later, but under another version and after a
 * Retry: then they are derived anew, and after a Retry the handshake begins anew, as it does for another connection. */
#include "quic/sg_quic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apps_crypt/sg_tls_facts.h"
#include "base/sg_bytes.h"

enum { INITIAL = 0, HANDSHAKE = 2, RETRY = 3 };	/* types of long headers, as version 1 has them */
enum { LONG = 0x80, FIXED = 0x40, GROWS_BY = 2048, RESET_MIN = 21 };
enum frame { PADDING = 0, PING = 1, ACK = 2, ACK_ECN = 3, CRYPTO = 6, CLOSE = 0x1c };
#define VERSION_2 0x6b3343cfU

struct sg_quic {
	struct sg_quic_keys keys;
	__u32 version;		/* of the keys; 0: there are none */
	__u8 cid[SG_QUIC_CID];	/* which they are derived from */
	__u8 cid_len;
	__u8 retried;		/* a Retry came since the handshake began */
	__u8 answered;		/* the server has sent what it sends behind a whole ClientHello */
	__u32 room;		/* of `bytes`, and as many behind them: which are there */
	__u32 there;		/* without a hole */
	__u8 *bytes;
};

/* A packet with a long header. */
struct packet {
	__u32 version;
	__u8 type;
	__u8 cid_len;
	const __u8 *cid;
	const __u8 *at;
	__u32 number_at;	/* where its number is, from `at` on */
	__u32 len;		/* of all of it */
};

/* A place in bytes. */
struct reader {
	const __u8 *at;
	const __u8 *end;
};

int sg_quics_init(struct sg_quics *quics, __u32 sessions)
{
	quics->of = calloc(sessions + 1UL, sizeof(*quics->of));
	quics->of_port = calloc(SEG_PORT_IDS, sizeof(*quics->of_port));
	return quics->of && quics->of_port ? 0 : -ENOMEM;
}

void sg_quics_free(struct sg_quics *quics)
{
	sg_quic_crypto_free(quics->crypto);
	free(quics->of);
	free(quics->of_port);
}

static void charge(struct sg_quics *quics, __u16 port_id, __s64 bytes)
{
	quics->bytes += (__u64)bytes;
	quics->of_port[port_id] += (__u64)bytes;
}

/* Whether the port leaves others enough with so much more. */
static int has_room(const struct sg_quics *quics, __u16 port_id, __u32 bytes)
{
	return quics->bytes + quics->of_port[port_id] + 2ULL * bytes <= SG_QUIC_BYTES;
}

struct sg_quic *sg_quic_get(struct sg_quics *quics, __u32 slot, __u16 port_id)
{
	if (quics->of[slot] || !has_room(quics, port_id, sizeof(struct sg_quic)))
		return quics->of[slot];
	quics->of[slot] = calloc(1, sizeof(struct sg_quic));
	if (quics->of[slot])
		charge(quics, port_id, sizeof(struct sg_quic));
	return quics->of[slot];
}

static void forget_bytes(struct sg_quics *quics, struct sg_quic *quic, __u16 port_id)
{
	charge(quics, port_id, -2LL * quic->room);
	free(quic->bytes);
	quic->bytes = NULL;
	quic->room = quic->there = 0;
}

void sg_quic_end(struct sg_quics *quics, __u32 slot, __u16 port_id)
{
	struct sg_quic *quic = quics->of[slot];

	if (!quic)
		return;
	forget_bytes(quics, quic, port_id);
	charge(quics, port_id, -(__s64)sizeof(*quic));
	free(quic);
	quics->of[slot] = NULL;
}

/* Read a variable-length number; -1: it is not there. */
static __s64 number(struct reader *r)
{
	__u32 size = r->at < r->end ? 1U << (*r->at >> 6) : 1;
	__u64 value;

	if ((__u32)(r->end - r->at) < size)
		return -1;
	value = *r->at & 0x3f;
	for (__u32 i = 1; i < size; i++)
		value = value << 8 | r->at[i];
	r->at += size;
	return (__s64)value;
}

/* Read the next packet of the datagram up to its number. 0: it has no long header, or one that does not fit. */
static int next_packet(struct reader *r, struct packet *packet)
{
	__u32 left = (__u32)(r->end - r->at), source_at;
	struct reader rest;
	__s64 size;

	if (left < 7 || !(r->at[0] & LONG) || r->at[5] > SG_QUIC_CID || 7U + r->at[5] > left)
		return 0;
	*packet = (struct packet){ .version = sg_get32(r->at + 1), .cid_len = r->at[5], .cid = r->at + 6, .at = r->at };
	packet->type = r->at[0] >> 4 & 3;
	if (packet->version == VERSION_2)
		packet->type = (packet->type + 3) & 3;
	source_at = 6U + packet->cid_len;
	if (r->at[source_at] > SG_QUIC_CID || source_at + 1U + r->at[source_at] > left)
		return 0;
	packet->len = left;
	if (!sg_quic_is_readable(packet->version) || packet->type == RETRY) {
		/* It has no length, and nothing is behind it. */
		r->at = r->end;
		return 1;
	}
	rest = (struct reader){ r->at + source_at + 1 + r->at[source_at], r->end };
	if (packet->type == INITIAL) {
		size = number(&rest);
		if (size < 0 || size > rest.end - rest.at)
			return 0;
		rest.at += size;
	}
	size = number(&rest);
	if (size < 0 || size > rest.end - rest.at)
		return 0;
	packet->number_at = (__u32)(rest.at - r->at);
	packet->len = packet->number_at + (__u32)size;
	r->at += packet->len;
	return 1;
}

/* Decrypt the packet into quics->plain; returns how many bytes, or -1: the keys are others. */
static int open_packet(struct sg_quics *quics, const struct sg_quic_keys *keys, const struct packet *packet)
{
	__u32 at = packet->number_at, digits, sent = 0, size;
	__u8 mask[SG_QUIC_SAMPLE], first, shown[4];
	struct sg_quic_part head[3];

	if (packet->len < at + 4 + SG_QUIC_SAMPLE || sg_quic_mask(quics->crypto, keys, packet->at + at + 4, mask))
		return -1;
	first = packet->at[0] ^ (mask[0] & 0x0f);
	digits = (first & 3U) + 1;
	for (__u32 i = 0; i < digits; i++) {
		shown[i] = packet->at[at + i] ^ mask[1 + i];
		sent = sent << 8 | shown[i];
	}
	if (packet->len < at + digits + SG_QUIC_TAG)
		return -1;
	size = packet->len - at - digits - SG_QUIC_TAG;
	head[0] = (struct sg_quic_part){ &first, 1 };
	head[1] = (struct sg_quic_part){ packet->at + 1, at - 1 };
	head[2] = (struct sg_quic_part){ shown, digits };
	if (size > sizeof(quics->plain) || sg_quic_open(quics->crypto, keys, sent, head, packet->at + at + digits, size, quics->plain))
		return -1;
	return (int)size;
}

static int is_whole(const struct sg_quic *quic)
{
	struct sg_facts facts = { 0 };

	sg_quic_facts(quic, &facts);
	return !facts.next;
}

/* Take these keys, and a handshake that begins anew. -1: the one before is not whole, and its rest could come unread. */
static int begin_anew(struct sg_quics *quics, struct sg_quic *quic, __u16 port_id, const struct packet *packet,
		      const struct sg_quic_keys *keys)
{
	if (quic->version && !quic->retried && !quic->answered && !is_whole(quic))
		return -1;
	forget_bytes(quics, quic, port_id);
	quic->keys = *keys;
	quic->version = packet->version;
	quic->cid_len = packet->cid_len;
	memcpy(quic->cid, packet->cid, packet->cid_len);
	quic->retried = quic->answered = 0;
	return 0;
}

/* Decrypt an Initial packet by the keys that there are, by the same of another version, or by its own. -1: by none of them. */
static int open_initial(struct sg_quics *quics, struct sg_quic *quic, __u16 port_id, const struct packet *packet, int *anew)
{
	struct sg_quic_keys keys;
	int len = -1;

	*anew = 0;
	if (quic->version == packet->version) {
		len = open_packet(quics, &quic->keys, packet);
	} else if (quic->version &&
		   !sg_quic_derive(quics->crypto, packet->version, quic->cid, quic->cid_len, &keys)) {
		len = open_packet(quics, &keys, packet);
		if (len >= 0) {
			quic->keys = keys;
			quic->version = packet->version;
		}
	}
	if (len >= 0 || sg_quic_derive(quics->crypto, packet->version, packet->cid, packet->cid_len, &keys))
		return len;
	len = open_packet(quics, &keys, packet);
	if (len >= 0) {
		*anew = 1;
		if (begin_anew(quics, quic, port_id, packet, &keys))
			return -1;
	}
	return len;
}

static int make_room(struct sg_quics *quics, struct sg_quic *quic, __u16 port_id, __u32 end)
{
	__u32 room = (end + GROWS_BY - 1) / GROWS_BY * GROWS_BY;
	__u8 *grown;

	if (end <= quic->room)
		return 0;
	if (end > SG_QUIC_HELLO || !has_room(quics, port_id, 2 * (room - quic->room)))
		return -1;
	grown = calloc(2, room);
	if (!grown)
		return -1;
	if (quic->room) {
		memcpy(grown, quic->bytes, quic->room);
		memcpy(grown + room, quic->bytes + quic->room, quic->room);
	}
	charge(quics, port_id, 2LL * (room - quic->room));
	free(quic->bytes);
	quic->bytes = grown;
	quic->room = room;
	return 0;
}

/* Put the bytes of a CRYPTO frame where they belong. */
static enum sg_quic_say put(struct sg_quics *quics, struct sg_quic *quic, __u16 port_id, __u64 offset, const __u8 *at, __u32 len)
{
	enum sg_quic_say said = SG_QUIC_OLD;
	const __u8 *hole;
	__u8 *there;

	/* The server has the whole ClientHello: what comes is an acknowledgement, or repeats. */
	if (quic->answered || !len)
		return SG_QUIC_OLD;
	if (offset > SG_QUIC_HELLO || make_room(quics, quic, port_id, (__u32)offset + len))
		return SG_QUIC_HIDES;
	there = quic->bytes + quic->room;
	for (__u32 i = (__u32)offset; i < (__u32)offset + len; i++) {
		if (there[i] && quic->bytes[i] != at[i - offset])
			return SG_QUIC_HIDES;
		if (!there[i])
			said = SG_QUIC_NEW;
		quic->bytes[i] = at[i - offset];
		there[i] = 1;
	}
	hole = memchr(there + quic->there, 0, quic->room - quic->there);
	quic->there = hole ? (__u32)(hole - there) : quic->room;
	return said;
}

/* Go over an ACK frame; -1: it ends too soon. */
static int skip_ack(struct reader *r, int has_ecn)
{
	__s64 ranges, left;

	if (number(r) < 0 || number(r) < 0)
		return -1;
	ranges = number(r);
	if (ranges < 0 || ranges > r->end - r->at)
		return -1;
	for (left = 2 * ranges + 1 + (has_ecn ? 3 : 0); left; left--)
		if (number(r) < 0)
			return -1;
	return 0;
}

enum sg_quic_say sg_quic_frames(struct sg_quics *quics, struct sg_quic *quic, __u16 port_id, const __u8 *at, __u32 len)
{
	struct reader r = { at, at + len };
	enum sg_quic_say said = SG_QUIC_OLD, one;
	__s64 offset, size;

	while (r.at < r.end) {
		__u8 type = *r.at++;

		switch (type) {
		case PADDING:
		case PING:
			break;
		case ACK:
		case ACK_ECN:
			if (skip_ack(&r, type == ACK_ECN))
				return SG_QUIC_HIDES;
			break;
		case CRYPTO:
			offset = number(&r);
			size = offset < 0 ? -1 : number(&r);
			if (size < 0 || size > r.end - r.at)
				return SG_QUIC_HIDES;
			one = put(quics, quic, port_id, (__u64)offset, r.at, (__u32)size);
			if (one == SG_QUIC_HIDES)
				return one;
			said = one > said ? one : said;
			r.at += size;
			break;
		case CLOSE:
			return said;
		default:
			return SG_QUIC_HIDES;
		}
	}
	return said;
}

static enum sg_quic_say read_initial(struct sg_quics *quics, struct sg_quic *quic, __u16 port_id, const struct packet *packet)
{
	enum sg_quic_say said;
	int len, anew;

	if (!quics->crypto)
		return SG_QUIC_HIDES;
	len = open_initial(quics, quic, port_id, packet, &anew);
	if (len < 0)
		return SG_QUIC_HIDES;
	said = sg_quic_frames(quics, quic, port_id, quics->plain, (__u32)len);
	return anew && said == SG_QUIC_OLD ? SG_QUIC_NEW : said;
}

enum sg_quic_say sg_quic_client(struct sg_quics *quics, struct sg_quic *quic, __u16 port_id, const __u8 *at, __u32 len)
{
	struct reader r = { at, at + len };
	enum sg_quic_say said = SG_QUIC_NOTHING, one;
	struct packet packet;

	while (next_packet(&r, &packet)) {
		if (!sg_quic_is_readable(packet.version))
			break;
		if (packet.type != INITIAL)
			continue;
		one = read_initial(quics, quic, port_id, &packet);
		said = one > said ? one : said;
	}
	return said;
}

int sg_quic_server(struct sg_quics *quics, struct sg_quic *quic, __u16 port_id, const __u8 *at, __u32 len)
{
	struct reader r = { at, at + len };
	struct packet packet;
	int found = 0;

	/* One with a short header, or a reset that looks like one. */
	if (len >= RESET_MIN && (at[0] & (LONG | FIXED)) == FIXED)
		return 0;
	while (next_packet(&r, &packet)) {
		found |= !packet.version || sg_quic_is_readable(packet.version);
		if (!sg_quic_is_readable(packet.version) || !quic)
			break;
		quic->retried |= packet.type == RETRY;
		if (packet.type == HANDSHAKE && is_whole(quic) && !quic->answered) {
			quic->answered = 1;
			forget_bytes(quics, quic, port_id);
		}
		if (packet.type == RETRY)
			break;
	}
	return !found;
}

void sg_quic_facts(const struct sg_quic *quic, struct sg_facts *facts)
{
	sg_tls_facts_bare(quic->bytes, quic->there, facts);
}
