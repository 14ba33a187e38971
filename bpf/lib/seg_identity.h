/* SPDX-License-Identifier: GPL-2.0-only */
/* Checks that a frame's source and destination belong to the workloads that use them.
 *
 * API: seg_is_tap_mode(), seg_addr_is(), seg_check_mac(), seg_check_source() and seg_check_receiver() for vin;
 * seg_check_peer(), seg_check_probed(), seg_check_served() and seg_check_destination() for vex; seg_peer_class(). Each check returns
 * the reason that settles the frame, or SEG_R_NONE. A source of another workload is dropped in every mode
 * (seg_is_theft()); a source that no workload has is spoofed, which the recording modes do not drop.
 */
#ifndef SEG_IDENTITY_H
#define SEG_IDENTITY_H

#include "lib/seg_group.h"

/* The mode only records: frames go on at once, the engine gets copies. */
SEG_INLINE int seg_is_tap_mode(const struct seg_port *port)
{
	return port->mode == SEG_MODE_DISCOVER || port->mode == SEG_MODE_MONITOR;
}

SEG_INLINE int seg_is_theft(__u16 reason)
{
	return reason == SEG_R_TAKEN_IP || reason == SEG_R_CLAIMED_IP || reason == SEG_R_PEER_MAC ||
	       reason == SEG_R_CSUM_PLACE;
}

/* Whether the address is the workload's, of that kind (enum seg_addr_kind). */
SEG_INLINE int seg_addr_is(__u8 family, __u16 owner, const __u8 *addr, __u8 kind)
{
	struct seg_addr_key key = { .owner = owner, .family = family, .kind = kind };

	__builtin_memcpy(key.addr, addr, sizeof(key.addr));
	return !!seg_map_lookup(seg_addrs, &key);
}

#define SEG_NOBODY 0xffff	/* an owner that is none of those compared */

/* Finds who has an address on a segment; 0: no workload. While the entry is being replaced, it counts as another's. */
SEG_INLINE int seg_holder_of(const struct seg_pkt *pkt, __u32 segment, const __u8 *addr,
			     struct seg_owner *owner)
{
	struct seg_owner_key key = { .segment = segment, .family = pkt->family };
	int found;

	/* verifier: clang reads it before it looks at `found`. */
	*owner = (struct seg_owner){};
	__builtin_memcpy(key.addr, addr, sizeof(key.addr));
	found = seg_sealed_find(seg_owners, &key, owner);
	if (found == SEG_FOUND_TORN)
		*owner = (struct seg_owner){ .owner = SEG_NOBODY };
	return found;
}

SEG_INLINE int seg_known_of(const struct seg_pkt *pkt, __u32 segment, struct seg_owner *owner)
{
	return seg_holder_of(pkt, segment, pkt->saddr, owner);
}

SEG_INLINE int seg_owner_of(const struct seg_pkt *pkt, __u32 segment)
{
	struct seg_owner owner;

	return seg_known_of(pkt, segment, &owner) && !owner.spare;
}

/* Finds who has a MAC on a segment; 0: unknown. While the entry is being replaced, it counts as another's. */
SEG_INLINE int seg_mac_known(__u32 segment, const __u8 *addr, struct seg_mac *mac)
{
	struct seg_mac_key key = { .segment = segment };
	int found;

	/* verifier: as above. */
	*mac = (struct seg_mac){};
	__builtin_memcpy(key.mac, addr, sizeof(key.mac));
	found = seg_sealed_find(seg_macs, &key, mac);
	if (found == SEG_FOUND_TORN)
		*mac = (struct seg_mac){ .owner = SEG_NOBODY };
	return found;
}

SEG_INLINE int seg_mac_of(const struct seg_pkt *pkt, __u32 segment, struct seg_mac *mac)
{
	return seg_mac_known(segment, pkt->smac, mac);
}

/* An address in a CIDR group has that group's rights. */
SEG_INLINE int seg_is_in_group(const struct seg_pkt *pkt)
{
	struct seg_net_key key = {
		.prefix_len = 8 * (1 + sizeof(pkt->saddr)), .family = pkt->family,
	};

	__builtin_memcpy(key.addr, pkt->saddr, sizeof(key.addr));
	return !!seg_map_lookup(seg_nets, &key);
}

/* Returns the class of the peer's address as services name it; 0: ask the engine. A version that is no longer in force is
 * being deleted, so what was found in it may be a wider network than the address's own. */
SEG_INLINE __u64 seg_peer_class(const struct seg_pkt *pkt, const struct seg_control *control, __u8 dir)
{
	const volatile __u32 *version = &control->class_version;
	struct seg_class_key key = {
		.prefix_len = 8 * (sizeof(key.version) + sizeof(key.family) + sizeof(key.addr)),
		.version = *version, .family = pkt->family,
	};
	const __u32 *class;
	__u32 found;

	__builtin_memcpy(key.addr, dir == SEG_DIR_EGRESS ? pkt->daddr : pkt->saddr, sizeof(key.addr));
	class = seg_map_lookup(seg_classes, &key);
	found = class ? *class : 0;
	return found && *version == key.version ? (__u64)key.version << 32 | found : 0;
}

SEG_INLINE int seg_is_unspecified(const struct seg_pkt *pkt)
{
	const __u32 *a = (const __u32 *)pkt->saddr;

	return !(a[0] | a[1] | a[2] | a[3]);
}

/* On vin, before anything passes without a rule, ARP included. */
SEG_INLINE int seg_check_mac(const struct seg_pkt *pkt, const struct seg_port *port)
{
	struct seg_mac mac;

	if (seg_mac_equal(pkt->smac, port->mac))
		return SEG_R_NONE;
	return seg_mac_of(pkt, port->segment, &mac) && mac.owner && mac.owner != port->owner ?
		       SEG_R_PEER_MAC : SEG_R_SPOOFED_MAC;
}

/* On vin. */
SEG_INLINE int seg_check_source(const struct seg_pkt *pkt, const struct seg_port *port)
{
	if (port->flags & SEG_PORT_ANY_SOURCE ||
	    seg_addr_is(pkt->family, port->owner, pkt->saddr, SEG_ADDR_OWN))
		return SEG_R_NONE;
	if (seg_is_unspecified(pkt))
		return pkt->family == SEG_FAMILY_IPV6 || seg_is_dhcp_request(pkt) ?
			       SEG_R_NONE : SEG_R_SPOOFED_IP;
	if (seg_owner_of(pkt, 0))
		return SEG_R_TAKEN_IP;
	return seg_is_in_group(pkt) ? SEG_R_CLAIMED_IP : SEG_R_SPOOFED_IP;
}

/* Whether several workloads have the source address, one of them on this segment. */
SEG_INLINE int seg_has_twin(const struct seg_pkt *pkt, __u32 segment)
{
	struct seg_owner owner;

	return seg_known_of(pkt, 0, &owner) && !owner.owner && seg_known_of(pkt, segment, &owner);
}

/* Whether the source is another's than that MAC's, whose owner it then is. What a workload on u32 has is known by this
 * map alone, so an address that several have may be its, too; who has no right to the address is met at vin. */
SEG_INLINE int seg_other_than(const struct seg_pkt *pkt, __u32 segment, const struct seg_mac *mac,
			      struct seg_owner *owner)
{
	if (!seg_known_of(pkt, segment, owner) && !seg_known_of(pkt, 0, owner))
		return 0;
	return owner->owner && owner->owner != mac->owner;
}

/* On vex, if its segment is known. A frame that the host or a gateway forwards has that one's MAC, and may have any
 * source but one: an address of the segment that another workload has elsewhere, which would be ambiguous. A frame from
 * a workload must not have a third workload's address, and an address of a workload on the segment must come with that
 * workload's MAC. */
SEG_INLINE int seg_check_peer(const struct seg_pkt *pkt, const struct seg_port *port)
{
	struct seg_owner owner;
	struct seg_mac mac;

	if (!port->segment)
		return SEG_R_NONE;
	if (!seg_mac_of(pkt, port->segment, &mac))
		return seg_owner_of(pkt, port->segment) ? SEG_R_PEER_MAC : SEG_R_NONE;
	if (mac.twins && (!mac.owner || mac.any_source) && seg_has_twin(pkt, port->segment) &&
	    !seg_addr_is(pkt->family, mac.owner, pkt->saddr, SEG_ADDR_OWN))
		return SEG_R_SPOOFED_MAC;
	if (!mac.owner || mac.any_source ||
	    seg_addr_is(pkt->family, mac.owner, pkt->saddr, SEG_ADDR_OWN) || seg_is_unspecified(pkt))
		return SEG_R_NONE;
	/* Its own vin has checked an address that no workload has: the host may have written it later
	 * (MASQUERADE with br_netfilter). */
	return seg_other_than(pkt, port->segment, &mac, &owner) && !owner.spare ? SEG_R_PEER_MAC : SEG_R_NONE;
}

/* On vex: an attached workload probes whether the packet's source address is free. */
SEG_INLINE int seg_check_probed(const struct seg_pkt *pkt, const struct seg_port *port)
{
	struct seg_owner owner;
	struct seg_mac mac;

	if (!seg_mac_of(pkt, port->segment, &mac) || !mac.owner || mac.any_source ||
	    seg_addr_is(pkt->family, mac.owner, pkt->saddr, SEG_ADDR_OWN))
		return SEG_R_NONE;
	return seg_other_than(pkt, port->segment, &mac, &owner) ? SEG_R_PEER_MAC : SEG_R_NONE;
}

/* On vex, for a packet without a verdict: the destination must be the workload's own or a group. Otherwise the policy
 * would judge by an address that the workload gave itself. A DHCP answer may go to an address that is not assigned yet. */
SEG_INLINE int seg_check_destination(const struct seg_pkt *pkt, const struct seg_port *port)
{
	if (port->flags & SEG_PORT_ANY_SOURCE || seg_to_l3_group(pkt) || seg_is_dhcp_answer(pkt))
		return SEG_R_NONE;
	return seg_addr_is(pkt->family, port->owner, pkt->daddr, SEG_ADDR_OWN) ||
			       seg_addr_is(pkt->family, port->owner, pkt->daddr, SEG_ADDR_BROADCAST) ?
		       SEG_R_NONE : SEG_R_NOT_MINE;
}

/* On vin, for a packet without a verdict: the MAC decides who receives it, whatever the address. A packet to a workload
 * on the segment must go to that workload's MAC, or to one that forwards. */
SEG_INLINE int seg_check_receiver(const struct seg_pkt *pkt, const struct seg_port *port)
{
	struct seg_owner owner;
	struct seg_mac mac;

	if (!port->segment || !seg_holder_of(pkt, port->segment, pkt->daddr, &owner))
		return SEG_R_NONE;
	if (seg_mac_known(port->segment, pkt->dmac, &mac) &&
	    (!mac.owner || mac.any_source || !owner.owner || mac.owner == owner.owner))
		return SEG_R_NONE;
	return SEG_R_WRONG_MAC;
}

/* On vex: the sender is an attached workload that serves this. `serves`: enum seg_serves. */
SEG_INLINE int seg_is_served(const struct seg_pkt *pkt, const struct seg_port *port, __u8 serves)
{
	struct seg_mac mac;

	return seg_mac_of(pkt, port->segment, &mac) && mac.owner && mac.serves & serves;
}

/* On vex: an attached workload must not send a server's message without serving. `serves`: enum seg_serves. */
SEG_INLINE int seg_check_served(const struct seg_pkt *pkt, const struct seg_port *port, __u8 serves)
{
	struct seg_mac mac;

	return seg_mac_of(pkt, port->segment, &mac) && mac.owner && !(mac.serves & serves) ? SEG_R_NOT_SERVED :
											     SEG_R_NONE;
}

#endif
