/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Answers queries by a port's policy: the first matching rule decides, of its own list (ports of the dp protocol have one)
 * or of the node's. Pure. */
#ifndef SG_POLICY_H
#define SG_POLICY_H

#include "api/sg_core.h"
#include "node/sg_node.h"

/* A rule compiled for the scan: the network as two words, so v4 and v6 compare alike. */
struct sg_rule_match {
	__u64 net[2];
	__u64 mask[2];
	__u32 id;
	__u16 port_lo;
	__u16 port_hi;
	__u8 proto;
	__u8 action;
};

struct sg_ruleset {
	struct sg_policy policy;
	struct sg_node *const *node;	/* the node's current policy; points to NULL: none yet */
	struct sg_rule_match *lists[2][2];	/* [egress, ingress][IPv4, IPv6], each in the given order */
	__u32 counts[2][2];
	struct sg_rule_match matches[];
};

struct sg_answer {
	struct sg_rule_keys keys;
	__u64 held;		/* key of the rule's condition, which holds; 0: it has none */
	__u32 rule_id;		/* 0: the default */
	__u32 staged_id;	/* a staged rule that would have decided; 0: none */
	__u16 reason;		/* SEG_R_NONE, or why it is not allowed, or would not be */
	__u16 staged_reason;	/* SEG_R_STAGED_ALLOW, where rule_id's verdict is another; else none */
	__u8 pass;		/* SEG_R_NONE, or it is only recorded */
	__u8 reject;		/* it does not pass, and is answered */
	__u8 needs_app;		/* enum sg_need. SG_NEED_HOLD: rule_id asks for the application, and is no hit yet; the flow may
				 * begin, but none of its payload passes before an answer for a known application */
	__u8 app;		/* enum sg_app: what it was asked with */
	__u8 proof;		/* enum sg_app_proof, of whoever asked */
	__u8 names_only;	/* of needs_app: what shows no name is allowed, whatever it is */
	__u8 by_facts;		/* with other facts of the flow it may be another */
	__u8 unknown;		/* no memory: there is no answer, and the flow keeps its state */
};

/* 0 and *out, -ENOMEM, or -EINVAL. Free with free(). */
int sg_policy_compile(const struct sg_policy *policy, const struct sg_rule *rules,
		      struct sg_node *const *node, struct sg_ruleset **out);
struct sg_answer sg_policy_ask(const struct sg_ruleset *set, const struct sg_policy_query *q);
/* Return the class that a peer with this address has for the node's policy; 0: the port's rules are its own list, or the
 * address does not tell it. */
__u32 sg_policy_peer_class(const struct sg_ruleset *set, __u8 family, const __u8 *address);

/* Return whether the port's rules say what its flows may do with addresses by their names. */
int sg_policy_uses_names(const struct sg_ruleset *set);

static inline int sg_policy_records_only(const struct sg_ruleset *set)
{
	return set->policy.mode == SEG_MODE_DISCOVER || set->policy.mode == SEG_MODE_MONITOR;
}

#endif
