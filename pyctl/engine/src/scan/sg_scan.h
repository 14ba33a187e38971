/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Looks for the sensors' patterns in flows, from the first byte that comes to the last, whatever way segments come. It decides
 * nothing. It is found by the session's slot, because sessions lie in memory that outlives the engine.
 *
 * Of answers of HTTP/1 the bodies are scanned, and what is compressed is decoded first, of both sides. */
#ifndef SG_SCAN_H
#define SG_SCAN_H

#include "packet/sg_packet.h"
#include "scan/sg_coded.h"
#include "sensor/sg_lane.h"
#include "session/sg_session.h"
#include "stream/sg_tape.h"

#define SG_SCAN_BYTES (256ULL << 20)	/* of all flows; a port may have as much as is then free */

struct sg_scan;

struct sg_scans {
	struct sg_streams *streams;
	struct sg_scan **of;	/* by slot */
	__u64 *of_port;		/* by port: bytes */
};

/* 0 or -ENOMEM. `sessions` is the highest slot. */
int sg_scans_init(struct sg_scans *scans, __u32 sessions);
void sg_scans_free(struct sg_scans *scans);

/* Who looks, for what, and whom to tell. */
struct sg_scan_ask {
	struct sg_sensors *set;
	__u64 wanted;		/* sensors, bits */
	sg_lane_told told;
	void *ctx;
};

/* What a segment is. */
enum sg_scan_say {
	SG_SCAN_PASS,		/* all that is new of it was scanned, or lies behind a hole and is kept */
	SG_SCAN_ENDED,		/* whoever was told of a match ended the scan */
	SG_SCAN_WRONG,		/* a request or an answer that may be read differently begins in it */
	SG_SCAN_DIFFERS,	/* a byte is another than before */
	SG_SCAN_NO_ROOM,	/* no memory: its sender may repeat it */
};

static inline struct sg_scan *sg_scan_of(const struct sg_scans *scans, const struct sg_session *s)
{
	return scans->of[s->slot];
}

/* Begin; NULL: no memory. */
struct sg_scan *sg_scan_begin(struct sg_scans *scans, const struct sg_session *s, const struct sg_sensors *set);
void sg_scan_end(struct sg_scans *scans, const struct sg_session *s);
/* Look for what these sensors look for from now on. */
void sg_scan_turn(struct sg_scans *scans, const struct sg_session *s, const struct sg_scan_ask *ask);
/* Take a segment's payload of a side (0: the initiator's), whose first byte has this number. */
enum sg_scan_say sg_scan_segment(struct sg_scans *scans, const struct sg_session *s, __u8 side, __u32 seq, const __u8 *data,
				 __u32 len, const struct sg_scan_ask *ask);
/* The side sends nothing behind this number. */
enum sg_scan_say sg_scan_fin(struct sg_scans *scans, const struct sg_session *s, __u8 side, __u32 seq,
			     const struct sg_scan_ask *ask);
/* The other side acknowledges what this one sent. With `may_miss`, bytes that never came here are given up. */
void sg_scan_acknowledge(struct sg_scans *scans, const struct sg_session *s, __u8 side, __u32 ack, int may_miss);
/* Give up what is missing of a side before this number: its bytes are scanned from there on. */
void sg_scan_skip(struct sg_scans *scans, const struct sg_session *s, __u8 side, __u32 seq);
/* Return why a body that came since the last call was not decoded. */
enum sg_coded_why sg_scan_unread(struct sg_scans *scans, const struct sg_session *s);
/* Scan the next bytes of a datagram in its flow's lane; `ends`: it is complete, and the next begins anew. */
enum sg_scan_say sg_scan_datagram(struct sg_scans *scans, const struct sg_session *s, __u8 side, const __u8 *bytes, __u32 len,
				  int ends, const struct sg_scan_ask *ask);

#endif
