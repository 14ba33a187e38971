/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The engine around its core: rings, the packet loop, flow maps. All that Python may call.
 *
 * One engine has one thread that no caller shares: every function below that takes an engine hands
 * its work to that thread, which does it between two batches, and returns when it is done. So the
 * core needs no lock, and what a function changes holds from the next batch on. All of them may be
 * called from any thread; they return 0 or -errno where nothing else is said.
 */
#ifndef SG_ENGINE_H
#define SG_ENGINE_H

#include "api/sg_core.h"

enum sg_engine_limit {
	SG_RING_SMALL = 0,		/* frames up to SG_SMALL_FRAME_MAX bytes */
	SG_RING_MIDDLE = 1,		/* jumbo frames, short super-frames */
	SG_RING_BIG = 2,		/* the others */
	SG_RINGS = 3,
	SG_SMALL_FRAME_MAX = 1900,	/* fits a slot after its headers */
	SG_MIDDLE_FRAME_MAX = 9300,
	SG_FD_SMALL = 0,		/* as SG_RING_* */
	SG_FD_MIDDLE = 1,
	SG_FD_BIG = 2,
	SG_FD_SEND = 3,
	SG_FD_STATE = 4,
	SG_FDS = 5,
	SG_SESSIONS_MAX = 262144,
};

/* The memfd (SG_FD_STATE): the state that a dead engine's successor needs of the rings and, from SG_STATE_FLOWS on, of
 * the flows (sg_core_adopt). Unwritten pages use no memory. */
enum sg_state_part {
	SG_STATE_FLOWS = 4096,
	SG_STATE_BYTES = SG_STATE_FLOWS + SG_STORE_SESSIONS + SG_SESSIONS_MAX * SG_STORE_SESSION,
};

struct sg_ring_state {
	__u64 next[SG_RINGS];		/* index of the oldest slot that is not given back */
	__u64 packets[SG_RINGS];	/* PACKET_STATISTICS, summed up: reading them clears them */
	__u64 drops[SG_RINGS];		/* frames lost because the ring was full */
};
SEG_ABI_SIZE(sg_ring_state, 72);

struct sg_engine_stats {
	__u64 frames;		/* read from the rings */
	__u64 bytes;
	__u64 sent;
	__u64 send_failed;
	__u64 send_retried;
	__u64 copied;		/* of sent: frames that were not in a ring slot (made by the core) */
	__u64 truncated;
	__u64 batches;
	__u64 waits;		/* times the loop slept */
	__u64 resyncs;		/* times a scan corrected a ring's index */
	__u64 link_errors;	/* vth-neuv went down */
	__u64 moves;		/* times the loop changed the CPUs that it runs on: see sg_cpu_affinity.h */
	__u64 flows_put;
	__u64 flows_refused;	/* the flow map is full or away: the flow stays with the engine */
	__u64 flows_evicted;	/* this and the next three: see struct sg_cache_stats */
	__u64 flows_offload_misses;
	__u64 flows_offload_missed_bytes;
	__u64 flows_entries;
	__u64 flows_capacity;	/* of both flow maps together, or what the limit leaves of it */
	__u64 events_lost_drops;	/* these two: see struct sg_event_page */
	__u64 events_lost_ends;
	__u64 share_gap_ns;	/* the pace of every port (sg_share.h); 0: the engine keeps up */
	__u64 heartbeat_ns;
	__u64 ring_packets[SG_RINGS];
	__u64 ring_drops[SG_RINGS];
	__u32 sessions;
	__u8 has_rings;
	__u8 has_maps;
	__u8 cache;		/* verdicts go to the flow maps */
	__u8 pad;
};

struct sg_engine;

/* Open the sockets of a ring set on `device` in the network namespace bound at `netns`, which take the frames of this
 * worker of so many; fds gets SG_FDS descriptors (close-on-exec). The calling thread's namespace stays. */
int sg_rings_open(const char *netns, const char *device, __u32 worker, __u32 workers, int *fds);

/* Start the thread. NULL with errno on failure. */
struct sg_engine *sg_engine_new(const struct sg_core_config *config);
/* End the thread after its current batch; waiting frames stay in the rings. */
void sg_engine_free(struct sg_engine *engine);

/* Use these descriptors from now on (the engine owns them then, also on failure). */
int sg_engine_rings_set(struct sg_engine *engine, const int *fds);
/* Before the first frame: keep the sessions in the memfd `state` (which stays the caller's), where a successor finds
 * them, and with `keep` take over those of a former engine. Returns how many; -EINVAL for a memfd without room for
 * sessions, -EBUSY if there are sessions. See sg_core_adopt. */
int sg_engine_adopt(struct sg_engine *engine, int state, int keep);
/* Stop reading; frames that arrive on the device from now on are lost. Idempotent. */
int sg_engine_rings_drop(struct sg_engine *engine);
/* Open the pins seg_flows4, seg_flows6 and seg_control in this directory. -ENOENT: no such pins,
 * the engine goes on without a verdict cache; -EINVAL: their layout is another. */
int sg_engine_maps_open(struct sg_engine *engine, const char *directory);
/* enabled 0: write no more verdicts to the flow maps, and delete those in them that are this worker's. */
int sg_engine_cache_set(struct sg_engine *engine, int enabled);
/* Limit both maps together to so many entries from now on; existing entries stay. */
int sg_engine_cache_limit(struct sg_engine *engine, __u32 entries);
int sg_engine_cache_stats(struct sg_engine *engine, __u16 port_id, struct sg_cache_stats *out);
/* -EINVAL for a policy or a rule with a field out of range; nothing changes. */
int sg_engine_policy_set(struct sg_engine *engine, const struct sg_policy *policy,
			 const struct sg_rule *rules);
/* See struct sg_node_head. The policy is built by the caller's thread, and swapped in by the loop. */
int sg_engine_node_set(struct sg_engine *engine, const void *bytes, __u32 length);
int sg_engine_members_set(struct sg_engine *engine, const void *bytes, __u32 length);
int sg_engine_port_delete(struct sg_engine *engine, __u16 port_id);
/* See sg_core_listeners_set. */
int sg_engine_listeners_set(struct sg_engine *engine, __u16 port_id, const __u16 *ports,
			    __u32 count);
/* Return when every frame that was in a ring has been judged and sent. */
int sg_engine_sync(struct sg_engine *engine);
/* out has SEG_R_COUNT places. */
int sg_engine_counters(struct sg_engine *engine, __u16 port_id, struct sg_reason_count *out);
/* The arguments of sg_core_events. */
struct sg_event_ask {
	__u64 epoch;
	__u64 ack;
	__u64 after;
	__u32 max;
	__u32 pad;
};
/* Return how many; see sg_core_events and sg_core_sessions. */
int sg_engine_events(struct sg_engine *engine, const struct sg_event_ask *ask, struct sg_event *out,
		     struct sg_event_page *page);
int sg_engine_sessions(struct sg_engine *engine, __u16 port_id, struct sg_session_info *out,
		       __u32 max, __u32 *cursor);
/* Return how many; see sg_core_hits. */
int sg_engine_hits(struct sg_engine *engine, __u64 after, struct sg_hit *out, __u32 max,
		   struct sg_hit_page *page);
/* Return how many; see sg_core_names. */
int sg_engine_names(struct sg_engine *engine, __u16 port_id, struct sg_name_record *out, __u32 max, __u32 *cursor);
/* Return how many; see sg_core_names_of. */
int sg_engine_names_of(struct sg_engine *engine, const struct sg_name_query *queries, __u32 count,
		       struct sg_name_record *out, __u32 max);
int sg_engine_name_counts(struct sg_engine *engine, __u16 port_id, struct sg_name_counts *out);
int sg_engine_stats(struct sg_engine *engine, struct sg_engine_stats *out);

#endif
