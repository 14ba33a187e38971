/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Joins and cuts; see the header. In: fragments. Out: one packet; fragments. */
#include "session/sg_join.h"

#include "packet/sg_decode.h"

enum {
	LENGTH_MAX = 65535,	/* in the field of an IP header */
	MORE_V4 = 0x2000, MORE_V6 = 1, FLAGS_V4 = 0xc000, DO_NOT_COPY = 0x80,
	OPTION_END = 0, OPTION_NOP = 1,
};

static int is_v6(const __u8 *frame)
{
	return sg_get16(frame + 12) == SG_ETH_IPV6;
}

/* Write the lengths and the fragment's place to the headers, which end at `headers`; whole: 0 and 0. */
static void describe(__u8 *frame, __u32 headers, __u32 length, __u32 offset, int more)
{
	__u8 *ip = frame + SG_ETH_LEN, *place;
	__u32 total = headers - SG_ETH_LEN + length;

	if (is_v6(frame)) {
		place = frame + headers - SG_IPV6_FRAGMENT_LEN + 2;
		total -= SG_IPV6_LEN;
		/* A datagram of the greatest length has no room for the fragment header, and is never sent in one. */
		sg_put16(ip + 4, total < LENGTH_MAX ? total : LENGTH_MAX);
		sg_put16(place, offset | (more ? MORE_V6 : 0));
		return;
	}
	sg_put16(ip + 2, total);
	sg_put16(ip + 6, (sg_get16(ip + 6) & FLAGS_V4) | offset / 8 | (more ? MORE_V4 : 0));
	sg_put16(ip + 10, 0);
	sg_put16(ip + 10, sg_checksum(sg_sum(ip, headers - SG_ETH_LEN, 0)));
}

/* Blank the options of IPv4 that only the first fragment has. */
static void leave_options_out(__u8 *frame, __u32 headers)
{
	__u32 at = SG_ETH_LEN + SG_IPV4_LEN, length;

	while (at < headers && frame[at] != OPTION_END) {
		length = frame[at] == OPTION_NOP ? 1 : at + 1 < headers ? frame[at + 1] : 0;
		if (!length || (length < 2 && frame[at] != OPTION_NOP) || length > headers - at)
			return;
		if (!(frame[at] & DO_NOT_COPY))
			memset(frame + at, OPTION_NOP, length);
		at += length;
	}
}

__u16 sg_join(const struct sg_datagram *d, struct sg_joined *joined, struct sg_packet *p)
{
	struct sg_frame *frame = &joined->frame;
	__u32 longest = 0, headers;
	__u16 reason;

	reason = sg_decode_link(&d->first->frame, p);
	if (!reason)
		reason = sg_decode_network(p);
	if (reason)
		return reason;
	headers = p->l4;
	p->bytes = 0;
	p->frames = d->frames;
	for (const struct sg_held *h = d->head; h; h = h->next)
		p->bytes += h->frame.len;
	/* No receiver takes it. */
	if (headers - SG_ETH_LEN + d->total > (is_v6(d->first->bytes) ? sizeof(joined->bytes) - SG_ETH_LEN : LENGTH_MAX))
		return SEG_R_MALFORMED;
	*frame = d->first->frame;
	frame->data = joined->bytes;
	frame->len = frame->wire_len = headers + d->total;
	memset(frame->vnet, 0, sizeof(frame->vnet));
	memcpy(joined->bytes, d->first->bytes, headers);
	for (const struct sg_held *h = d->head; h; h = h->next) {
		memcpy(joined->bytes + headers + h->offset, h->bytes + h->headers, h->length);
		longest = longest > h->headers + h->length ? longest : h->headers + h->length;
	}
	describe(joined->bytes, headers, d->total, 0, 0);
	p->frame = frame;
	p->l4_len = d->total;
	p->pieces = (struct sg_pieces){ .headers = headers, .longest = (longest - headers) & ~7U };
	return sg_decode_reassembled(p, d->total);
}

void sg_cut_begin(struct sg_cut *cut, const struct sg_frame *frame, struct sg_pieces pieces)
{
	*cut = (struct sg_cut){ .frame = *frame, .bytes = (__u8 *)frame->data, .pieces = pieces };
}

int sg_cut_next(struct sg_cut *cut, struct sg_frame *piece)
{
	__u32 headers = cut->pieces.headers, length = cut->pieces.longest, left = cut->frame.len - headers - cut->done;
	__u8 *at = cut->bytes + cut->done;

	if (!left)
		return 0;
	if (cut->done)
		memmove(at, at - length, headers);
	if (cut->done == length && !is_v6(at))
		leave_options_out(at, headers);
	length = left < length ? left : length;
	describe(at, headers, length, cut->done, left > length);
	cut->done += length;
	*piece = cut->frame;
	piece->data = at;
	piece->len = piece->wire_len = headers + length;
	return 1;
}
