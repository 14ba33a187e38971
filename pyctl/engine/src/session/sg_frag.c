/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Collects fragments; see the header.
 * In: decoded fragments. Out: datagrams, complete or spoiled, with their frames. No I/O.
 * An exact repeat of a fragment is dropped and changes nothing (receivers tolerate it as well);
 * any other overlap spoils the datagram, because receivers differ in what they would read. */
#include "session/sg_frag.h"

#include <stdlib.h>

#include "packet/sg_decode.h"
#include "session/sg_session.h"

static void make_key(const struct sg_packet *p, struct sg_frag_key *key)
{
	memset(key, 0, sizeof(*key));
	key->port_id = p->port_id;
	key->dir = p->dir;
	key->family = p->family;
	key->id = p->frag_id;
	key->proto = p->family == SEG_FAMILY_IPV4 ? p->proto : 0;
	memcpy(key->saddr, p->saddr, sizeof(key->saddr));
	memcpy(key->daddr, p->daddr, sizeof(key->daddr));
}

static struct sg_datagram **bucket_of(struct sg_frags *frags, const struct sg_frag_key *key)
{
	return &frags->buckets[sg_hash(frags->hash_key, key, sizeof(*key)) % SG_FRAG_BUCKETS];
}

static void count(struct sg_frags *frags, struct sg_datagram *d, __u32 *port_memory, __u32 bytes)
{
	frags->memory += bytes;
	frags->peers[d->peer] += bytes;
	*port_memory += bytes;
	d->memory += bytes;
}

/* Charge bytes; -1: the port or peer would have more than is left for others. */
static int charge(struct sg_frags *frags, struct sg_datagram *d, __u32 *port_memory, size_t bytes)
{
	if (frags->memory + *port_memory + 2 * bytes > SG_FRAG_BYTES ||
	    *port_memory + frags->peers[d->peer] + 2 * bytes > SG_FRAG_PORT_BYTES)
		return -1;
	count(frags, d, port_memory, (__u32)bytes);
	return 0;
}

static __u32 peer_of(const struct sg_hash_key *hash_key, const struct sg_frag_key *key)
{
	int inbound = key->dir == SEG_DIR_INGRESS;
	__u64 name[3] = { key->port_id * 2U + (__u32)inbound };

	memcpy(&name[1], inbound ? key->saddr : key->daddr, sizeof(key->saddr));
	return (__u32)(sg_hash(hash_key, name, sizeof(name)) % SG_FRAG_PEERS);
}

static struct sg_datagram *create(struct sg_frags *frags, const struct sg_frag_key *key, __u32 *port_memory,
				  __u64 now_ns)
{
	struct sg_datagram **bucket = bucket_of(frags, key);
	struct sg_datagram *d = calloc(1, sizeof(*d));

	if (d)
		d->peer = peer_of(frags->hash_key, key);
	if (!d || charge(frags, d, port_memory, sizeof(*d))) {
		free(d);
		return NULL;
	}
	d->key = *key;
	d->since_ns = now_ns;
	d->hash_next = *bucket;
	*bucket = d;
	d->prev = frags->newest;
	if (d->prev)
		d->prev->next = d;
	else
		frags->oldest = d;
	frags->newest = d;
	return d;
}

/* 1: the same piece again; -1: it contradicts what is held; 0: new. */
static int compare(const struct sg_datagram *d, __u32 offset, __u32 length, int last)
{
	__u32 end = offset + length;

	if ((d->total && (end > d->total || (last && end != d->total))))
		return -1;
	for (const struct sg_held *h = d->head; h; h = h->next) {
		if (h->offset == offset && h->length == length)
			return 1;
		if ((h->offset < end && offset < h->offset + h->length) ||
		    (last && h->offset + h->length > end))
			return -1;
	}
	return 0;
}

static struct sg_held *copy_frame(const struct sg_packet *p)
{
	struct sg_held *h = malloc(sizeof(*h) + p->frame->len);

	if (!h)
		return NULL;
	h->next = NULL;
	h->frame = *p->frame;
	h->offset = p->frag_offset;
	h->length = p->l4_len;
	h->headers = p->l4;
	memcpy(h->bytes, p->frame->data, p->frame->len);
	h->frame.data = h->bytes;
	return h;
}

static __u16 spoil(struct sg_datagram *d, __u16 reason, struct sg_datagram **out)
{
	d->spoiled = reason;
	*out = d;
	return reason;
}

static __u16 hold(struct sg_frags *frags, struct sg_datagram *d, const struct sg_packet *p, __u32 *port_memory)
{
	struct sg_held *h;

	if (d->frames == SG_FRAG_FRAMES)
		return SEG_R_FRAGMENT_MEMORY;
	h = copy_frame(p);
	if (!h || charge(frags, d, port_memory, sizeof(*h) + p->frame->len)) {
		free(h);
		return SEG_R_FRAGMENT_MEMORY;
	}
	if (d->tail)
		d->tail->next = h;
	else
		d->head = h;
	d->tail = h;
	if (!h->offset)
		d->first = h;
	d->frames++;
	d->have += h->length;
	if (!p->frag_more)
		d->total = h->offset + h->length;
	return SEG_R_NONE;
}

__u16 sg_frag_add(struct sg_frags *frags, const struct sg_packet *p, __u32 *port_memory, __u64 now_ns,
		  struct sg_datagram **out)
{
	struct sg_packet first = *p;
	struct sg_frag_key key;
	struct sg_datagram *d;
	__u16 reason;
	int overlap;

	*out = NULL;
	if (!p->l4_len || (p->frag_more && p->l4_len % 8) || p->frag_offset + p->l4_len > 65535)
		return SEG_R_MALFORMED;
	make_key(p, &key);
	d = *bucket_of(frags, &key);
	while (d && memcmp(&d->key, &key, sizeof(key)))
		d = d->hash_next;
	if (!d)
		d = create(frags, &key, port_memory, now_ns);
	if (!d)
		return SEG_R_FRAGMENT_MEMORY;
	if (d->spoiled)
		return d->spoiled;
	overlap = compare(d, p->frag_offset, p->l4_len, !p->frag_more);
	if (overlap)
		return overlap > 0 ? SEG_R_FRAGMENT_OVERLAP : spoil(d, SEG_R_FRAGMENT_OVERLAP, out);
	if (!p->frag_offset) {
		reason = sg_decode_reassembled(&first, 65535);
		if (reason)
			return spoil(d, reason, out);
	}
	reason = hold(frags, d, p, port_memory);
	if (reason)
		return spoil(d, reason, out);
	if (d->total && d->have == d->total)
		*out = d;
	return SEG_R_NONE;
}

void sg_frag_release(struct sg_frags *frags, struct sg_datagram *d, __u32 *port_memory)
{
	__u32 kept = (__u32)sizeof(*d);
	struct sg_held *h = d->head;

	while (h) {
		struct sg_held *next = h->next;

		free(h);
		h = next;
	}
	d->head = d->tail = d->first = NULL;
	count(frags, d, port_memory, kept - d->memory);
}

void sg_frag_forget(struct sg_frags *frags, struct sg_datagram *d, __u32 *port_memory)
{
	struct sg_datagram **link = bucket_of(frags, &d->key);

	sg_frag_release(frags, d, port_memory);
	while (*link != d)
		link = &(*link)->hash_next;
	*link = d->hash_next;
	if (d->prev)
		d->prev->next = d->next;
	else
		frags->oldest = d->next;
	if (d->next)
		d->next->prev = d->prev;
	else
		frags->newest = d->prev;
	count(frags, d, port_memory, -d->memory);
	free(d);
}

struct sg_datagram *sg_frag_due(const struct sg_frags *frags, __u64 now_ns)
{
	struct sg_datagram *d = frags->oldest;

	return d && now_ns >= d->since_ns + SG_TIMEOUT_FRAGMENT ? d : NULL;
}
