/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Flows that the programs open by themselves (bpf/lib/seg_open.h): of which services, and their sessions. */
#ifndef SG_OPEN_H
#define SG_OPEN_H

#include "flow/sg_state.h"

/* After the packet was judged: programs may open what is like s, with any peer of the same class, if the packet opened it, and
 * it was allowed by addresses, protocol and the service's port (ICMP: type) alone. Rules name no source port; gateways
 * (`--any-source`) and ends whose modes differ are no exception, because the key has the port and its address.
 * Kept here, and not learned: denials and rejections (they have entries of their own, flow/sg_flow.h), violations that a mode
 * only records, what a staged rule would decide, flows without a flow map; data in a SYN, fragments, IP options, extension
 * headers, VLAN tags; what goes to a group, and the ports at which groups are asked and answered, because an answer belongs to
 * its question; DHCP's ports, whose verdicts are by the source port too; flows whose initiator is a guess or was not seen to
 * begin; ICMP other than echo; ports with a list of their own (struct sg_policy), which have no classes. */
void sg_open_learn(const struct sg_context *c, const struct sg_session *s);
/* The packet that a record of the kernel's rings is of, as its flow's first. */
void sg_open_packet(const struct seg_flow_key6 *key, __u8 family, __u8 dir, struct sg_packet *p);
/* Return the session of a flow that a program opened, with its entry in place. c->key and the packet are of
 * its first packet, which the entry has counted. `former` is the session of that key: it goes on if it is alive, and ends
 * otherwise; NULL: there is none. Returns NULL if the table is full; the flow is then told, without its entry. */
struct sg_session *sg_open_adopt(const struct sg_context *c, const struct seg_open_event *event,
				 struct sg_session *former);

#endif
