/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The node's policy by identity: what an end is (its class), then what holds between two classes.
 * A question costs a few hashes and two binary searches, however many rules there are. */
#ifndef SG_NODE_H
#define SG_NODE_H

#include "api/sg_core.h"
#include "condition/sg_facts.h"

struct sg_named_table;
struct sg_sensors;

enum sg_node_limit {
	SG_NODE_GROUPS_MAX = 65536,
	SG_NODE_RULES_MAX = 65536,
	SG_NODE_FQDNS_MAX = 65536,
	SG_NODE_PAIR_BYTES = 64 << 20,	/* of compiled pairs; then all are dropped, and come as asked */
};

/* What a new flow looks like to a rule. */
struct sg_policy_query {
	const __u8 *local;	/* 16 bytes */
	const __u8 *peer;
	__u16 port;		/* the initiator's destination port, host order; ICMP: its query's type */
	__u8 dir;		/* the initiator's */
	__u8 family;
	__u8 proto;
	__u16 from_port;	/* the initiator's own; no rule names it */
	__u8 app;		/* enum sg_app; SG_APP_NONE: not known yet, and rules for applications are found as if they matched */
	__u32 segment;		/* the port's (struct sg_policy) */
	const struct sg_facts *facts;	/* with an application: what else is known; NULL: nothing, and no condition holds */
};

/* The parts of a block of bytes (struct sg_node_head). */
struct sg_node_view {
	const struct sg_node_head *head;
	const struct sg_policy *policies;
	const struct sg_node_rule *rules;
	const struct sg_node_condition *conditions;
	const struct sg_node_spec *specs;
	const struct sg_node_cidr *cidrs;
	const struct sg_node_fqdn *fqdns;
	const struct sg_member *members;
	const __u32 *groups;
	const __u8 *sensors;
	const __u8 *texts;
};

/* -EINVAL where the counts do not make up the length, or a group or spec is beyond its count. */
int sg_node_view(const void *bytes, __u32 length, struct sg_node_view *view);

/* Return whether a rule of a node that could be built asks for one of these fields, bits 1 << enum sg_field. */
int sg_node_view_asks(const struct sg_node_view *view, __u32 fields);
int sg_node_build(const __u64 hash_key[2], const struct sg_node_view *view, struct sg_node **out);
/* -EINVAL for a group that the node does not have: nothing changed then. */
int sg_node_members_set(struct sg_node *node, const struct sg_node_view *view);
/* Put the node in the place of a former one: what both ask of flows has been in force since then. */
void sg_node_follow(struct sg_node *node, const struct sg_node *former, __u64 now_ns);
/* Return where the node keeps its sensors, until they are taken out; NULL there: it has none. */
struct sg_sensors **sg_node_sensors(struct sg_node *node);
void sg_node_port_delete(struct sg_node *node, __u16 port_id);
/* Return the class of a peer with this address; SG_CLASS_NONE: the address alone does not tell it, because several
 * workloads have it, a port knows it by a name that is in a group, or there is no memory. *own, if wanted: whether it needs a
 * class of its own, because a workload has it, it is a network of the policy, or it is known by such a name. */
__u32 sg_node_peer_class(struct sg_node *node, __u8 family, const __u8 *address, int *own);
/* Call `put` for each network of the policy and each address that a workload has, in no order, with the class of the
 * peers there that are in no smaller network. The key has no version. Returns 0, or the first error of `put`. */
int sg_node_classes(struct sg_node *node, int (*put)(void *ctx, const struct seg_class_key *key, __u32 class),
		    void *ctx);
/* Let addresses be in the groups of the names that ports have learnt for them; NULL: in none. */
void sg_node_use_names(struct sg_node *node, struct sg_named_table *names);
/* Return whether a rule says of the port's flows what they may do with an address by its name. */
int sg_node_uses_names(const struct sg_node *node, __u16 port_id);
/* Return the class that the names of an answer (place in the table) give its addresses; SG_CLASS_ANY: they are in no group. */
__u32 sg_node_class_of_told(struct sg_node *node, __u32 told);
/* Return the groups of a name, at most SG_FQDNS_FOUND; see sg_fqdns_find(). */
__u32 sg_node_groups_of(const struct sg_node *node, const char *name, __u32 *groups);
/* Return the key of all addresses that have the first `length` bits of this one, without a version. */
struct seg_class_key sg_class_key(__u8 family, const __u8 *address, __u8 length);

/* Whether an answer rests on the flow's application, or on facts, that are not known yet. */
enum sg_need {
	SG_NEED_NOT = 0,
	SG_NEED_LOOK,		/* the verdict does not, only what is recorded: nothing waits for it */
	SG_NEED_HOLD,		/* the verdict does */
};

/* NULL: none. */
struct sg_found {
	const struct sg_node_rule *rule;	/* the first that matches, of those in force */
	const struct sg_node_rule *staged;	/* a staged one that matches before it: it would decide */
	__u64 held;		/* key of the rule's condition, which holds; 0: it has none */
	__u8 needs_app;		/* enum sg_need: to hold, if `rule` waits to be told; to look, if a staged one before it does */
	__u8 names_only;	/* to hold: what shows no name needs no application, and is allowed */
	__u8 by_facts;		/* a rule between both ends has a condition: with other facts another one may match */
};

/* 0 and *found; -ENOMEM: it cannot be told. A staged rule for applications is found once all that it asks for is known. */
int sg_node_ask(struct sg_node *node, __u16 port_id, const struct sg_policy_query *q,
		struct sg_found *found);

#endif
