/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Connections that the programs open by themselves (bpf/lib/seg_open.h): of which services, and their sessions. */
#ifndef SG_OPEN_H
#define SG_OPEN_H

#include "flow/sg_state.h"

/* After the packet was judged: programs may open what is like s, with any peer of the same class, if it came by a SYN that
 * says no more than its addresses and ports, and was allowed by them alone: by no staged rule's leave, and no mode's that
 * only records. Ports with a list of their own (struct sg_policy) have no classes, so nothing is learned for them. */
void sg_open_learn(const struct sg_context *c, const struct sg_session *s);
/* Return whether sessions and flow maps have room for what programs may open before the engine takes it in. */
int sg_open_has_room(const struct sg_core *core);
/* The packet that a key of the kernel's rings is of, as a SYN. */
void sg_open_packet(const struct seg_flow_key6 *key, __u8 family, struct sg_packet *p);
/* Return the session of a connection that a program opened, with both its entries in place. c->key and the packet are of
 * its SYN, which the entries have counted. `former` is the session of that key: it goes on if it is alive, and ends
 * otherwise; NULL: there is none. Returns NULL if the table is full; the flow is then told, without its entries. */
struct sg_session *sg_open_adopt(const struct sg_context *c, const struct seg_open_event *event,
				 struct sg_session *former);

#endif
