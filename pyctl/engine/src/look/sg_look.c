/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Looks at payload, and lets frames wait; see the header. In: packets, sessions. Out: applications, frames. No I/O. */
#include "look/sg_look.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "answer/sg_http_status.h"
#include "inspect/sg_recognise.h"
#include "inspect/sg_tell.h"
#include "packet/sg_tcp_options.h"
#include "payload/sg_payload_threats.h"
#include "prefix/sg_proxy.h"

enum {
	GSO_SIZE_AT = 4,	/* in struct virtio_net_hdr */
	ALLOCATION = 16,	/* what the allocator takes for each */
	SMALL = 512,		/* what a stream takes besides its bytes */
};

struct sg_payload {
	struct sg_stream *stream;	/* NULL: forgotten */
	struct sg_requests requests;
	struct sg_recognised known;
	struct sg_waiting *head;	/* in the order of arrival */
	struct sg_waiting *tail;
	__u64 since_ns;
	__u32 memory;			/* of frames */
	__u32 first_seq;		/* of the initiator */
	__u8 first_side;
	__u8 fins;			/* bit per side: its FIN waits */
	__u8 wants_more;		/* for its threats */
	__u64 threats;			/* those that were told */
};

int sg_looks_init(struct sg_looks *looks, __u32 sessions)
{
	looks->of = calloc(sessions + 1UL, sizeof(*looks->of));
	looks->of_port = calloc(SEG_PORT_IDS, sizeof(*looks->of_port));
	looks->streams = sg_streams_new(SG_LOOK_STREAM_BYTES);
	return looks->of && looks->of_port && looks->streams ? 0 : -ENOMEM;
}

void sg_looks_free(struct sg_looks *looks)
{
	if (looks->streams)
		sg_streams_free(looks->streams);
	free(looks->of);
	free(looks->of_port);
}

/* Whether the port leaves others enough of the streams' memory with so much more. */
static int has_room(const struct sg_looks *looks, __u16 port_id, __u32 bytes)
{
	return sg_streams_bytes(looks->streams) + looks->of_port[port_id] + 2ULL * bytes <= SG_LOOK_STREAM_BYTES;
}

/* Count for the port what its streams have taken or given back since there were `before` bytes. */
static void charge(struct sg_looks *looks, __u16 port_id, __u64 before)
{
	looks->of_port[port_id] += sg_streams_bytes(looks->streams) - before;
}

struct sg_payload *sg_look_begin(struct sg_looks *looks, const struct sg_session *s, const struct sg_packet *p,
			      __u64 now_ns)
{
	__u64 before = sg_streams_bytes(looks->streams);
	struct sg_payload *look = has_room(looks, s->key.port_id, SMALL) ? calloc(1, sizeof(*look)) : NULL;

	if (!look)
		return NULL;
	look->stream = sg_stream_new(looks->streams);
	if (!look->stream) {
		free(look);
		return NULL;
	}
	charge(looks, s->key.port_id, before);
	look->since_ns = now_ns;
	look->first_side = p->dir != s->initiator;
	look->first_seq = s->first_seq[0];
	for (__u8 side = 0; side < 2; side++)
		sg_stream_start(look->stream, side, s->first_seq[side]);
	looks->of[s->slot] = look;
	return look;
}

static __u32 memory_of(const struct sg_waiting *w)
{
	return (__u32)sizeof(*w) + w->here + ALLOCATION;
}

void sg_look_end(struct sg_looks *looks, const struct sg_session *s)
{
	struct sg_payload *look = looks->of[s->slot];
	__u64 before = sg_streams_bytes(looks->streams);

	if (!look)
		return;
	sg_stream_free(looks->streams, look->stream);
	sg_requests_end(looks->streams, &look->requests);
	charge(looks, s->key.port_id, before);
	free(look);
	looks->of[s->slot] = NULL;
}

static const __u8 *payload_of(const struct sg_packet *p)
{
	return p->frame->data + p->l4 + p->l4_len - p->payload_len;
}

enum sg_segment sg_look_add(struct sg_looks *looks, struct sg_payload *look, const struct sg_packet *p, __u8 side)
{
	const __u8 *tcp = p->frame->data + p->l4;
	struct sg_segment_head head = {
		.seq = p->seq, .ack = p->ack, .side = side, .has_ack = !!(p->tcp_flags & SG_ACK),
	};
	__u32 most = p->payload_len < SG_STREAM_BYTES ? p->payload_len : SG_STREAM_BYTES;
	__u64 before = sg_streams_bytes(looks->streams);
	enum sg_segment segment;

	if (!look->stream)
		return SG_SEGMENT_REPEATS;
	if (most && !has_room(looks, p->port_id, most + SMALL))
		return SG_SEGMENT_NO_ROOM;
	head.has_timestamp = (__u8)sg_tcp_timestamp(tcp, p->l4_len, &head.timestamp);
	sg_tcp_echo(tcp, p->l4_len, &head.echo);
	segment = sg_stream_add(looks->streams, look->stream, &head, payload_of(p), p->payload_len);
	charge(looks, p->port_id, before);
	return segment;
}

static struct sg_prefix prefix_of(const struct sg_payload *look)
{
	struct sg_prefix prefix = { .proto = SG_PROTO_TCP };

	for (__u8 side = 0; look->stream && side < 2; side++)
		prefix.data[side] = sg_stream_bytes(look->stream, side, &prefix.len[side]);
	return prefix;
}

struct sg_seen sg_look_recognise(struct sg_payload *look)
{
	struct sg_prefix prefix = prefix_of(look);
	struct sg_seen seen;

	sg_recognise(&prefix, &look->known);
	seen = (struct sg_seen){
		.app = look->known.app, .proof = look->known.proof, .guessed = look->known.guessed,
		.family = look->known.family,
		.kind = look->known.kind,
	};
	for (__u8 side = 0; side < 2; side++)
		seen.full |= (prefix.len[side] >= SG_STREAM_BYTES) << side;
	return seen;
}

enum sg_name_sign sg_look_name_sign(const struct sg_payload *look)
{
	struct sg_prefix prefix = prefix_of(look);

	return sg_name_sign(&prefix, look->first_side != 0);
}

__u64 sg_look_threats(struct sg_payload *look)
{
	struct sg_prefix prefix = prefix_of(look);
	struct sg_seen seen = sg_look_recognise(look);
	int more;
	__u64 found = sg_payload_threats(&prefix, seen.app, &more) & ~look->threats;

	look->wants_more = more && !seen.full;
	look->threats |= found;
	return found;
}

int sg_look_wants_more(const struct sg_payload *look)
{
	return look->wants_more;
}

void sg_look_facts(const struct sg_payload *look, __u8 app, struct sg_facts *facts)
{
	struct sg_prefix prefix = prefix_of(look);

	sg_tell(&prefix, app, facts);
}

struct sg_seen sg_look_datagram(const struct sg_packet *p)
{
	struct sg_recognised known = { 0 };
	struct sg_prefix prefix = { .proto = SG_PROTO_UDP };
	__u32 here = p->l4_len - SG_UDP_LEN;
	__u16 piece;

	prefix.data[0] = p->frame->data + p->l4 + SG_UDP_LEN;
	prefix.len[0] = p->payload_len < here ? p->payload_len : here;
	/* A super-frame has several datagrams. */
	memcpy(&piece, p->frame->vnet + GSO_SIZE_AT, sizeof(piece));
	if (sg_frame_is_gso(p->frame) && piece && piece < prefix.len[0])
		prefix.len[0] = piece;
	sg_recognise(&prefix, &known);
	return (struct sg_seen){ .app = known.app, .proof = known.proof };
}

int sg_look_may_be_http(struct sg_payload *look)
{
	struct sg_prefix prefix = prefix_of(look);
	struct sg_seen seen = sg_look_recognise(look);

	return prefix.len[0] && seen.proof &&
	       (seen.app == SG_APP_HTTP || seen.app == SG_APP_WEBSOCKET || seen.app == SG_APP_ELASTICSEARCH);
}

int sg_look_may_be_http2(struct sg_payload *look)
{
	struct sg_prefix prefix = prefix_of(look);
	struct sg_seen seen = sg_look_recognise(look);

	return prefix.len[0] && seen.proof &&
	       (seen.app == SG_APP_HTTP2 || seen.app == SG_APP_GRPC || seen.app == SG_APP_ETCD);
}

int sg_look_begin_requests(struct sg_looks *looks, const struct sg_session *s, int is_http2)
{
	struct sg_payload *look = sg_look_of(looks, s);
	struct sg_prefix prefix = prefix_of(look);
	__u64 before = sg_streams_bytes(looks->streams);
	int error;

	if (!has_room(looks, s->key.port_id, SMALL))
		return -1;
	error = sg_requests_begin(looks->streams, &look->requests, look->first_seq, sg_proxy_length(&prefix));
	if (!error && is_http2 && sg_requests_turn_http2(looks->streams, &look->requests, 0)) {
		sg_requests_end(looks->streams, &look->requests);
		error = -1;
	}
	charge(looks, s->key.port_id, before);
	return error;
}

int sg_look_turn_http2(struct sg_looks *looks, const struct sg_session *s, __u32 last_stream)
{
	__u64 before = sg_streams_bytes(looks->streams);
	int error = sg_requests_turn_http2(looks->streams, &sg_look_of(looks, s)->requests, last_stream);

	charge(looks, s->key.port_id, before);
	return error;
}

struct sg_requests *sg_look_reads(struct sg_payload *look)
{
	return look->requests.window ? &look->requests : NULL;
}

enum sg_requests_say sg_look_requests(struct sg_looks *looks, const struct sg_session *s, sg_requests_judge judge, void *ctx)
{
	struct sg_payload *look = sg_look_of(looks, s);
	struct sg_prefix prefix = prefix_of(look);
	__u64 before = sg_streams_bytes(looks->streams);
	enum sg_requests_say said;

	said = sg_requests_add(looks->streams, &look->requests, look->first_seq, prefix.data[0], prefix.len[0], judge, ctx);
	for (const struct sg_waiting *w = look->head; w && said <= SG_REQUESTS_AHEAD; w = w->next) {
		struct sg_frame frame = sg_look_frame(looks, look, w);

		if (!w->side)
			said = sg_requests_add(looks->streams, &look->requests, w->seq, frame.data + frame.len - w->payload_len,
					       w->payload_len, judge, ctx);
	}
	charge(looks, s->key.port_id, before);
	return said;
}

enum sg_requests_say sg_look_request(struct sg_looks *looks, struct sg_payload *look, const struct sg_packet *p,
				     sg_requests_judge judge, void *ctx)
{
	__u64 before = sg_streams_bytes(looks->streams);
	enum sg_requests_say said;

	if (!has_room(looks, p->port_id, SMALL))
		return SG_REQUESTS_NO_ROOM;
	said = sg_requests_add(looks->streams, &look->requests, p->seq, payload_of(p), p->payload_len, judge, ctx);
	charge(looks, p->port_id, before);
	return said;
}

void sg_look_acknowledge(struct sg_looks *looks, const struct sg_session *s, __u32 ack)
{
	__u64 before = sg_streams_bytes(looks->streams);

	sg_window_acknowledge(looks->streams, sg_look_of(looks, s)->requests.window, ack);
	charge(looks, s->key.port_id, before);
}

void sg_look_end_requests(struct sg_looks *looks, const struct sg_session *s)
{
	__u64 before = sg_streams_bytes(looks->streams);

	sg_requests_end(looks->streams, &sg_look_of(looks, s)->requests);
	charge(looks, s->key.port_id, before);
}

int sg_look_status(const struct sg_payload *look)
{
	struct sg_prefix prefix = prefix_of(look);
	int status = sg_http_status(prefix.data[1], prefix.len[1]);

	return !status && prefix.len[1] >= SG_STREAM_BYTES ? -1 : status;
}

int sg_look_is_answered(const struct sg_payload *look)
{
	return look->known.answered;
}

void sg_look_forget_first(struct sg_looks *looks, const struct sg_session *s)
{
	struct sg_payload *look = sg_look_of(looks, s);
	__u64 before = sg_streams_bytes(looks->streams);

	if (look->head)
		return;
	sg_stream_free(looks->streams, look->stream);
	look->stream = NULL;
	charge(looks, s->key.port_id, before);
}

/* Whether the application is certain by what the initiator sent alone. */
static int is_unanswered(const struct sg_payload *look)
{
	return look->known.proof == SG_APP_CERTAIN && !look->known.answered;
}

int sg_look_is_settled(const struct sg_payload *look)
{
	if (look->requests.window)
		return !look->head && sg_window_is_settled(look->requests.window);
	return !look->head && (!look->stream || sg_stream_is_settled(look->stream)) && !is_unanswered(look);
}

void sg_look_stop(struct sg_looks *looks, const struct sg_session *s)
{
	struct sg_payload *look = sg_look_of(looks, s);
	__u64 before = sg_streams_bytes(looks->streams);

	if (!look->stream || is_unanswered(look))
		return;
	sg_stream_close(looks->streams, look->stream);
	charge(looks, s->key.port_id, before);
}

__u8 sg_look_first_side(const struct sg_payload *look)
{
	return look->first_side;
}

__u64 sg_look_since_ns(const struct sg_payload *look)
{
	return look->since_ns;
}

/* Return how much of the packet's frame must be kept besides the stream. */
static __u32 bytes_here(const struct sg_payload *look, const struct sg_packet *p, __u8 side)
{
	__u32 head = p->l4 + p->l4_len - p->payload_len;

	if (head <= SG_LOOK_HEAD && look->stream && !look->requests.window &&
	    sg_stream_kept(look->stream, side, p->seq, p->payload_len))
		return head;
	return head + p->payload_len;
}

int sg_look_hold(struct sg_looks *looks, struct sg_payload *look, const struct sg_packet *p, __u8 side, __u64 *port_held,
		 __u64 now_ns)
{
	__u32 here = p->payload_len ? bytes_here(look, p, side) : p->l4 + p->l4_len;
	__u32 bytes = (__u32)sizeof(struct sg_waiting) + here + ALLOCATION;
	struct sg_waiting *w;

	if (look->memory + bytes > (look->requests.window ? SG_HOLD_HEAD_BYTES : SG_HOLD_FLOW_BYTES))
		return 1;
	if (looks->held + *port_held + 2ULL * bytes > SG_HOLD_BYTES)
		return -1;
	w = malloc(sizeof(*w) + here);
	if (!w)
		return -1;
	*w = (struct sg_waiting){
		.frame = *p->frame, .since_ns = now_ns, .seq = p->seq, .payload_len = p->payload_len, .here = here, .side = side,
		.pieces = p->pieces,
	};
	/* What is behind the IP packet fills the frame up, and says nothing. */
	w->frame.len = w->frame.wire_len = p->l4 + p->l4_len;
	w->frame.data = NULL;
	memcpy(w->bytes, p->frame->data, here);
	looks->held += memory_of(w);
	*port_held += memory_of(w);
	look->memory += memory_of(w);
	if (look->tail)
		look->tail->next = w;
	else
		look->head = w;
	look->tail = w;
	if (p->tcp_flags & SG_FIN)
		look->fins |= 1U << side;
	return 0;
}

struct sg_frame sg_look_frame(struct sg_looks *looks, const struct sg_payload *look, const struct sg_waiting *w)
{
	__u32 payload = w->frame.len - w->here;
	struct sg_frame frame = w->frame;

	frame.data = w->bytes;
	if (!payload)
		return frame;
	memcpy(looks->scratch, w->bytes, w->here);
	memcpy(looks->scratch + w->here, sg_stream_kept(look->stream, w->side, w->seq, payload), payload);
	frame.data = looks->scratch;
	return frame;
}

const struct sg_waiting *sg_look_waiting(const struct sg_payload *look, __u8 sides)
{
	const struct sg_waiting *w = look->head;

	while (w && !(sides & (1 << w->side)))
		w = w->next;
	return w;
}

const struct sg_waiting *sg_look_ready(const struct sg_payload *look, __u8 sides)
{
	const struct sg_waiting *w = sg_look_waiting(look, sides);

	if (w && !w->side && look->requests.window && !sg_requests_pass(&look->requests, w->seq + w->payload_len))
		return NULL;
	return w;
}

void sg_look_release(struct sg_looks *looks, struct sg_payload *look, __u8 sides, __u64 *port_held)
{
	struct sg_waiting *before = NULL, *w = look->head;

	while (w && !(sides & (1 << w->side))) {
		before = w;
		w = w->next;
	}
	if (!w)
		return;
	if (before)
		before->next = w->next;
	else
		look->head = w->next;
	if (look->tail == w)
		look->tail = before;
	looks->held -= memory_of(w);
	*port_held -= memory_of(w);
	look->memory -= memory_of(w);
	free(w);
}

__u32 sg_look_expected(const struct sg_payload *look, __u8 side, __u32 seq)
{
	for (const struct sg_waiting *w = look->head; w; w = w->next)
		if (w->side == side && (__s32)(w->seq - seq) < 0)
			seq = w->seq;
	return seq;
}

int sg_look_holds(const struct sg_payload *look, const struct sg_packet *p)
{
	for (const struct sg_waiting *w = look->head; w; w = w->next)
		if (!w->side && (__s32)(p->seq - w->seq) >= 0 &&
		    (__s32)(w->seq + w->payload_len - p->seq - p->payload_len) >= 0)
			return 1;
	return 0;
}

int sg_look_holds_fin(const struct sg_payload *look, __u8 side)
{
	return look->fins >> side & 1;
}

__u64 sg_look_due_ns(const struct sg_looks *looks, const struct sg_session *s)
{
	const struct sg_payload *look = sg_look_of(looks, s);

	return look && look->head ? look->head->since_ns + SG_LOOK_NS : ~0ULL;
}
