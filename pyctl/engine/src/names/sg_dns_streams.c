/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* DNS over TCP; see the header. In: segments. Out: messages. No I/O. */
#include "names/sg_dns_streams.h"

#include <errno.h>
#include <stdlib.h>

#include "base/sg_bytes.h"

enum { PREFIX = 2, FIRST_ROOM = 1024 };	/* a message's length comes before it */

int sg_dns_streams_init(struct sg_dns_streams *streams, const struct sg_hash_key *hash_key)
{
	*streams = (struct sg_dns_streams){ .hash_key = hash_key };
	streams->all = calloc(SG_DNS_STREAMS + 1, sizeof(*streams->all));
	return sg_pool_init(&streams->pool, SG_DNS_STREAMS) || !streams->all ? -ENOMEM : 0;
}

static void drop_begun(struct sg_dns_streams *streams, struct sg_dns_share *share, struct sg_dns_side *side)
{
	streams->bytes -= side->room;
	share->bytes -= side->room;
	free(side->begun);
	side->begun = NULL;
	side->have = side->room = 0;
}

void sg_dns_streams_free(struct sg_dns_streams *streams)
{
	for (__u32 place = 1; streams->all && place <= streams->pool.used; place++)
		for (int side = 0; side < 2; side++)
			free(streams->all[place].sides[side].begun);
	free(streams->all);
	sg_pool_free(&streams->pool);
}

static __u64 hash_of(const struct sg_dns_streams *streams, __u64 flow)
{
	return sg_hash(streams->hash_key, &flow, sizeof(flow));
}

static __u32 find(const struct sg_dns_streams *streams, __u64 flow)
{
	__u32 place = sg_pool_first(&streams->pool, hash_of(streams, flow));

	while (place && streams->all[place].flow != flow)
		place = sg_pool_next(&streams->pool, place);
	return place;
}

struct sg_dns_stream *sg_dns_stream_of(struct sg_dns_streams *streams, struct sg_dns_share *share, __u64 flow)
{
	__u32 place = find(streams, flow);

	if (place)
		return &streams->all[place];
	if (share->streams >= SG_DNS_STREAMS - streams->pool.count)
		return NULL;
	place = sg_pool_take(&streams->pool);
	if (!place)
		return NULL;
	share->streams++;
	streams->all[place] = (struct sg_dns_stream){ .flow = flow };
	sg_pool_link(&streams->pool, place, hash_of(streams, flow));
	return &streams->all[place];
}

void sg_dns_stream_end(struct sg_dns_streams *streams, struct sg_dns_share *share, __u64 flow)
{
	__u32 place = find(streams, flow);

	if (!place)
		return;
	share->streams--;
	drop_begun(streams, share, &streams->all[place].sides[0]);
	drop_begun(streams, share, &streams->all[place].sides[1]);
	sg_pool_unlink(&streams->pool, place, hash_of(streams, flow));
	sg_pool_give(&streams->pool, place);
}

void sg_dns_stream_start(struct sg_dns_stream *stream, __u8 side, __u32 seq)
{
	stream->sides[side].next = seq;
	stream->sides[side].known = 1;
}

/* Make room for so many bytes of a message that has begun. Returns 0 or -ENOMEM. */
static int make_room(struct sg_dns_streams *streams, struct sg_dns_share *share, struct sg_dns_side *side, __u32 bytes)
{
	__u32 room = side->room ? side->room : FIRST_ROOM;
	__u8 *grown;

	while (room < bytes)
		room *= 2;
	if (room == side->room)
		return 0;
	if (streams->bytes + share->bytes + 2ULL * (room - side->room) > SG_DNS_STREAM_BYTES)
		return -ENOMEM;
	grown = realloc(side->begun, room);
	if (!grown)
		return -ENOMEM;
	streams->bytes += room - side->room;
	share->bytes += room - side->room;
	side->begun = grown;
	side->room = room;
	return 0;
}

/* How long the message is with its length, by so much of it as there is: two bytes, if that is not there yet. */
static __u32 whole_of(const __u8 *begun, __u32 have)
{
	return have < PREFIX ? PREFIX : PREFIX + sg_get16(begun);
}

/* Add bytes to the message that has begun, up to its end. Returns how many were taken, all where there is no memory. */
static __u32 fill(struct sg_dns_streams *streams, struct sg_dns_share *share, struct sg_dns_side *side, const __u8 *data,
		  __u32 length, __u32 *lost)
{
	__u32 wanted = whole_of(side->begun, side->have) - side->have;
	__u32 taken = length < wanted ? length : wanted;

	if (make_room(streams, share, side, side->have + taken)) {
		++*lost;
		/* Without its length, nobody knows where the next one begins. */
		side->known = side->have >= PREFIX;
		side->skip = side->known ? wanted - taken : 0;
		drop_begun(streams, share, side);
		return side->known ? taken : length;
	}
	memcpy(side->begun + side->have, data, taken);
	side->have += taken;
	return taken;
}

static enum sg_dns_taken take(struct sg_dns_streams *streams, struct sg_dns_share *share, struct sg_dns_side *side,
			      const __u8 *data, __u32 length, void (*message)(void *context, const __u8 *bytes, __u32 length), void *context)
{
	__u32 lost = 0, taken;

	while (length && side->known) {
		if (side->skip) {
			taken = length < side->skip ? length : side->skip;
			side->skip -= taken;
		} else if (!side->have && length >= PREFIX && length >= whole_of(data, length)) {
			taken = whole_of(data, length);
			message(context, data + PREFIX, taken - PREFIX);
		} else {
			taken = fill(streams, share, side, data, length, &lost);
			if (side->have >= PREFIX && side->have == whole_of(side->begun, side->have)) {
				message(context, side->begun + PREFIX, side->have - PREFIX);
				drop_begun(streams, share, side);
			}
		}
		data += taken;
		length -= taken;
	}
	return lost ? SG_DNS_LOST : SG_DNS_TAKEN;
}

enum sg_dns_taken sg_dns_stream_add(struct sg_dns_streams *streams, struct sg_dns_share *share, struct sg_dns_stream *stream,
				    const struct sg_dns_segment *segment, int skips,
				    void (*message)(void *context, const __u8 *bytes, __u32 length), void *context)
{
	struct sg_dns_side *side = &stream->sides[segment->side];
	__u32 old = side->next - segment->seq;

	if (!segment->length)
		return SG_DNS_TAKEN;
	if (!side->known) {
		if (segment->length < PREFIX || whole_of(segment->data, segment->length) != segment->length)
			return SG_DNS_LOST;
		sg_dns_stream_start(stream, segment->side, segment->seq);
		old = 0;
	}
	if ((__s32)old < 0 && !skips)
		return SG_DNS_HOLE;
	if ((__s32)old < 0) {
		drop_begun(streams, share, side);
		side->known = side->skip = 0;
		return SG_DNS_LOST;
	}
	if (old >= segment->length)
		return SG_DNS_TAKEN;
	side->next = segment->seq + segment->length;
	return take(streams, share, side, segment->data + old, segment->length - old, message, context);
}
