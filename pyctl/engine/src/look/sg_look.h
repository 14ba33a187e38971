/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Keeps what the engine has of a flow whose application is asked for: its first bytes, and the frames that wait for what they
 * tell. Policy-free, no I/O. It is found by the session's slot, because sessions lie in memory that outlives the engine. */
#ifndef SG_LOOK_H
#define SG_LOOK_H

#include "condition/sg_facts.h"
#include "inspect/sg_name_sign.h"
#include "look/sg_requests.h"
#include "packet/sg_packet.h"
#include "session/sg_session.h"
#include "stream/sg_stream.h"

#define SG_LOOK_NS (3 * SG_SECOND)	/* how long a frame waits */

enum sg_look_limit {
	SG_HOLD_BYTES = 8 << 20,		/* of frames in all; a port may hold as much as is then free */
	SG_HOLD_FLOW_BYTES = 3584,		/* of one flow, besides its first bytes */
	SG_HOLD_HEAD_BYTES = 72 << 10,		/* of one whose requests are read */
	SG_LOOK_STREAM_BYTES = 256 << 20,	/* of first bytes in all; a port may have as much as is then free */
	SG_LOOK_HEAD = 256,			/* of a frame, before its payload: no usual one has more */
};

/* A frame that waits. Its payload is not kept twice: it lies in the stream, if all of it is there. */
struct sg_waiting {
	struct sg_waiting *next;
	struct sg_frame frame;	/* without data: sg_look_frame() has it */
	__u64 since_ns;
	__u32 seq;
	__u32 payload_len;	/* TCP's, at the end of the frame */
	__u32 here;		/* bytes of it that lie here; the stream has the others */
	struct sg_pieces pieces;	/* that it came in */
	__u8 side;		/* 0: of the initiator */
	__u8 bytes[];
};

/* What the first bytes tell. */
struct sg_seen {
	__u64 guessed;		/* if none is certain: all that look like it, bits 1 << enum sg_app */
	__u64 family;		/* if none is certain: it is one of these for sure; 0: that is not known */
	__u8 app;		/* enum sg_app */
	__u8 proof;		/* enum sg_app_proof */
	__u8 kind;		/* of a guess: it is this one for sure, or one that this contains */
	__u8 full;		/* bit per side: it has sent as much as is looked at */
};

struct sg_payload;

struct sg_looks {
	struct sg_streams *streams;
	struct sg_payload **of;	/* by slot */
	__u64 *of_port;		/* by port: bytes of streams */
	__u64 held;		/* bytes of frames */
	__u8 scratch[SG_LOOK_HEAD + SG_STREAM_BYTES];	/* a frame that is put together */
};

/* 0 or -ENOMEM. `sessions` is the highest slot. */
int sg_looks_init(struct sg_looks *looks, __u32 sessions);
void sg_looks_free(struct sg_looks *looks);

/* Return the look at the session's payload; NULL: none has begun. */
static inline struct sg_payload *sg_look_of(const struct sg_looks *looks, const struct sg_session *s)
{
	return looks->of[s->slot];
}

/* Begin with the first payload of a connection, whose s->first_seq are known; NULL: no memory. */
struct sg_payload *sg_look_begin(struct sg_looks *looks, const struct sg_session *s, const struct sg_packet *p,
			      __u64 now_ns);
/* Free the look, of which no frame waits any more. */
void sg_look_end(struct sg_looks *looks, const struct sg_session *s);
/* Add the packet to its side's bytes, unless they are forgotten. */
enum sg_segment sg_look_add(struct sg_looks *looks, struct sg_payload *look, const struct sg_packet *p, __u8 side);
/* Tell the application by the bytes that are there. */
struct sg_seen sg_look_recognise(struct sg_payload *look);
/* Tell what else the bytes say of a flow of this application; `held` is not touched. */
void sg_look_facts(const struct sg_payload *look, __u8 app, struct sg_facts *facts);
/* Return whether the connection shows a name; see sg_name_sign(). */
enum sg_name_sign sg_look_name_sign(const struct sg_payload *look);
/* Return the threats in the bytes that are there, but for those that were returned before. */
__u64 sg_look_threats(struct sg_payload *look);
/* Return whether bytes to come may show more threats, if sg_look_threats() was asked. */
int sg_look_wants_more(const struct sg_payload *look);
/* Tell the application of a datagram flow by its first datagram. */
struct sg_seen sg_look_datagram(const struct sg_packet *p);
/* Return whether the initiator's bytes seem to be requests of HTTP/1. */
int sg_look_may_be_http(struct sg_payload *look);
/* Return whether they seem to be HTTP/2. */
int sg_look_may_be_http2(struct sg_payload *look);
/* Begin to read requests of the session's initiator: 0, or -1: no memory. sg_look_requests() must follow. */
int sg_look_begin_requests(struct sg_looks *looks, const struct sg_session *s, int is_http2);
/* Read what comes of it as HTTP/2 from now on; see sg_requests_turn_http2(). */
int sg_look_turn_http2(struct sg_looks *looks, const struct sg_session *s, __u32 last_stream);
/* Return the requests that are read; NULL: none are. */
struct sg_requests *sg_look_reads(struct sg_payload *look);
/* Read what came before requests were read. */
enum sg_requests_say sg_look_requests(struct sg_looks *looks, const struct sg_session *s, sg_requests_judge judge, void *ctx);
/* Read the packet of the initiator. */
enum sg_requests_say sg_look_request(struct sg_looks *looks, struct sg_payload *look, const struct sg_packet *p,
				     sg_requests_judge judge, void *ctx);
/* Note what the other side has acknowledged of what was read. */
void sg_look_acknowledge(struct sg_looks *looks, const struct sg_session *s, __u32 ack);
/* Stop reading requests; the first bytes of both sides are still there. */
void sg_look_end_requests(struct sg_looks *looks, const struct sg_session *s);
/* Return the status of the server's answer to the first request, as sg_http_status(); -1 also without room for it. */
int sg_look_status(const struct sg_payload *look);
/* Return whether the server's first bytes fit the application that is certain. */
int sg_look_is_answered(const struct sg_payload *look);
/* Forget the first bytes of both sides, while requests are read, unless frames wait. */
void sg_look_forget_first(struct sg_looks *looks, const struct sg_session *s);
/* Return whether every byte that was looked at is acknowledged, no frame waits, and the server's answer fits what is certain. */
int sg_look_is_settled(const struct sg_payload *look);
/* Keep nothing more of what comes for a session that is looked at, unless its server must still answer. */
void sg_look_stop(struct sg_looks *looks, const struct sg_session *s);
/* Return which side sent payload first. */
__u8 sg_look_first_side(const struct sg_payload *look);
/* Return when that was. */
__u64 sg_look_since_ns(const struct sg_payload *look);

/* Let the packet's frame wait; *port_held is what its port holds. 1: the flow has its part of the room, so its sender must
 * repeat it; -1: there is none for anybody. */
int sg_look_hold(struct sg_looks *looks, struct sg_payload *look, const struct sg_packet *p, __u8 side, __u64 *port_held,
		 __u64 now_ns);
/* Return the frame that has waited longest, of these sides (bit per side); NULL: none waits. */
const struct sg_waiting *sg_look_waiting(const struct sg_payload *look, __u8 sides);
/* Return that frame if all in it may be sent: of requests, none of it belongs to one that may not pass yet. */
const struct sg_waiting *sg_look_ready(const struct sg_payload *look, __u8 sides);
/* Return that frame with its data, which stay in place until the next call. */
struct sg_frame sg_look_frame(struct sg_looks *looks, const struct sg_payload *look, const struct sg_waiting *w);
/* Free that frame. */
void sg_look_release(struct sg_looks *looks, struct sg_payload *look, __u8 sides, __u64 *port_held);
/* Return the sequence number of the side's first byte that waits, or this one if that is before. */
__u32 sg_look_expected(const struct sg_payload *look, __u8 side, __u32 seq);
/* Return whether a frame of the initiator that waits has all of the packet's payload. */
int sg_look_holds(const struct sg_payload *look, const struct sg_packet *p);
/* Return whether a FIN of the side waits. */
int sg_look_holds_fin(const struct sg_payload *look, __u8 side);
/* Return when the longest waiting frame of the session has waited for too long; ~0: none waits. */
__u64 sg_look_due_ns(const struct sg_looks *looks, const struct sg_session *s);

#endif
