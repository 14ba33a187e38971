/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Emits threats: of each at a port and its peer one event in 30 seconds, with a count. */
#ifndef SG_ALARM_H
#define SG_ALARM_H

#include "report/sg_event_queue.h"

enum { SG_ALARMS = 1024 };	/* two that share a place are emitted early */

struct sg_alarms {
	struct sg_repeat of[SG_ALARMS];
	__u32 swept;		/* index of the next to look at */
};

/* Whose repeats are counted together. */
struct sg_alarm_name {
	__u16 port_id;		/* 0: whatever port */
	__u8 peer[16];		/* zeros: whoever it is */
};

/* Emit the event of a threat at once, or count it: packets and bytes. */
void sg_alarm_raise(struct sg_alarms *alarms, struct sg_event_queue *q, const struct sg_hash_key *key,
		    const struct sg_event *event, const struct sg_alarm_name *whose);
/* Emit those that have waited for 30 seconds; call it about ten times a second. */
void sg_alarm_sweep(struct sg_alarms *alarms, struct sg_event_queue *q, __u64 now_ns);
/* Emit all that wait. */
void sg_alarm_flush(struct sg_alarms *alarms, struct sg_event_queue *q);

#endif
