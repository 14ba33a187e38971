/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Writes the pinned maps of the engine: flow maps, services, classes, and seg_control with its heartbeat. bpf(2) from C,
 * so that no packet waits for Python. API: sg_flowmap_*(); 0 or -errno.
 */
#ifndef SG_FLOWMAP_H
#define SG_FLOWMAP_H

#include "api/sg_engine.h"

struct sg_flowmap {
	int fd4;			/* -1: none */
	int fd6;
	int services;
	int classes;
	__s64 *credits;			/* by port; NULL: none */
	int queries;
	int names;
	struct seg_control *controls;	/* of all workers; NULL: none */
	struct seg_control *control;	/* this worker's */
	__u32 worker, workers;
	int cache;			/* 0: verdicts are kept out of the maps */
	__u32 capacity;			/* entries of both */
};

void sg_flowmap_init(struct sg_flowmap *maps);
/* Open the pins in place of open ones; nothing changes unless all are there and have our layout. */
int sg_flowmap_open(struct sg_flowmap *maps, const char *directory);
void sg_flowmap_close(struct sg_flowmap *maps);

int sg_flowmap_put(const struct sg_flowmap *maps, int family, const void *key,
		   const struct seg_flow *flow, __u64 generation);
int sg_flowmap_get(const struct sg_flowmap *maps, int family, const void *key,
		   struct seg_flow *flow);
/* last gets the entry as it was; it may be NULL. */
int sg_flowmap_delete(const struct sg_flowmap *maps, int family, const void *key,
		      struct seg_flow *last);
int sg_flowmap_put_service(const struct sg_flowmap *maps, const struct seg_service_key *key,
			   const struct seg_service *service);
/* Say how many connections programs may open for the port from now on. */
void sg_flowmap_credit(const struct sg_flowmap *maps, __u16 port_id, __s64 connections);
int sg_flowmap_put_query(const struct sg_flowmap *maps, const struct seg_query_key *key,
			 const struct seg_query *query);
int sg_flowmap_put_name(const struct sg_flowmap *maps, const struct seg_name_key *key, const struct seg_name *name);
int sg_flowmap_get_name(const struct sg_flowmap *maps, const struct seg_name_key *key, struct seg_name *name);
int sg_flowmap_delete_name(const struct sg_flowmap *maps, const struct seg_name_key *key);
int sg_flowmap_get_query(const struct sg_flowmap *maps, const struct seg_query_key *key, struct seg_query *query);
/* Say whether programs may open connections by themselves. */
void sg_flowmap_opens_nothing(const struct sg_flowmap *maps, int nothing);
/* Return whether a close event was lost since the last call: the ring was full. */
int sg_flowmap_closes_lost(const struct sg_flowmap *maps);
/* Delete every entry of both maps that is this worker's. */
void sg_flowmap_clear(const struct sg_flowmap *maps);
/* Note that all rings were empty: earlier frames are judged and sent on. */
void sg_flowmap_drained(const struct sg_flowmap *maps, __u64 now_ns, int had_frames);
void sg_flowmap_beat(const struct sg_flowmap *maps, __u64 now_ns);

/* seg_classes, and in seg_control its versions. 0 or -errno. */
int sg_flowmap_put_class(const struct sg_flowmap *maps, const struct seg_class_key *key, __u32 class);
int sg_flowmap_delete_class(const struct sg_flowmap *maps, const struct seg_class_key *key);
/* Return a number that no version has had; 0: there is no map. */
__u32 sg_flowmap_new_version(const struct sg_flowmap *maps);
/* Let the programs read this version from now on; 0: none. */
void sg_flowmap_use_version(const struct sg_flowmap *maps, __u32 version);
/* Delete the entries of this worker's versions but the one in force. */
void sg_flowmap_sweep_classes(const struct sg_flowmap *maps);

#endif
