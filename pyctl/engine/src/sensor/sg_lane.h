/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Bytes of one part of one side of a flow, scanned in order as they come: a match is found however they are cut. No I/O; a
 * scan allocates nothing. */
#ifndef SG_LANE_H
#define SG_LANE_H

#include "sensor/sg_sensors.h"

enum sg_lane_limit {
	SG_LANE_WORK = 1 << 16,	/* that second looks may cost in one scan: a table of numbers has one for each */
	SG_LANE_EXACT = 1 << 12,	/* what one of PCRE2's costs of it; any other costs 1 */
};

struct sg_lane {
	struct sg_sensors *set;
	void *stream;
	__u64 at;		/* bytes that were scanned */
	__u64 base;		/* where the stream began */
	__u16 tail_len;
	__u8 part;		/* enum sg_part */
	__u8 is_over;		/* whoever was told of a match ended the scan */
	__u8 tail[SG_SENSOR_TAIL];	/* the last of them */
};

/* A match. */
struct sg_catch {
	const struct sg_pattern *pattern;
	__u64 to;		/* offset after its last byte */
	const __u8 *bytes;	/* what matched, if the pattern asks to show or to confirm it; valid for the call */
	__u32 len;
	__u8 unsure;		/* it should have been confirmed, but that would be too much work */
};

/* Returns 1 to end the scan; the lane is of no use then. */
typedef int (*sg_lane_told)(void *ctx, const struct sg_catch *found);

/* Return the bytes of memory that a lane of these sensors takes, its own besides the struct's among them; 0: they look for
 * nothing in this part. */
__u32 sg_lane_bytes(const struct sg_sensors *set, enum sg_part part);
/* Begin: 0, or -1 without memory. */
int sg_lane_begin(struct sg_lane *lane, struct sg_sensors *set, enum sg_part part);
void sg_lane_end(struct sg_lane *lane);
/* Look for what other sensors look for from now on, also across what was scanned last. 0, or -1 without memory: the lane is
 * over. Hits in bytes from before are told again. */
int sg_lane_turn(struct sg_lane *lane, struct sg_sensors *set, __u64 wanted, sg_lane_told told, void *ctx);
/* Scan the next bytes for the sensors `wanted` (bits). */
void sg_lane_scan(struct sg_lane *lane, const __u8 *bytes, __u32 len, __u64 wanted, sg_lane_told told, void *ctx);
/* The part ends here: tell what may match only there, and begin anew. */
void sg_lane_finish(struct sg_lane *lane, __u64 wanted, sg_lane_told told, void *ctx);
/* Bytes were missed: begin anew. */
void sg_lane_restart(struct sg_lane *lane);

#endif
