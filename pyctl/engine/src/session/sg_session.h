/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The session table: keyed hash, slab pool, timer wheel. Policy-free.
 *
 * A session is found by what a packet shows from the workload's side (local end, remote end), so
 * both directions meet the same one. Slots are named by index; 0 is none. Slabs are allocated as
 * sessions come, never for a packet whose session exists. */
#ifndef SG_SESSION_H
#define SG_SESSION_H

#include "base/sg_bytes.h"
#include "api/sg_core.h"

#define SG_SECOND 1000000000ULL

/* Timeouts, ns. A handshake without data expires soon. Only the kernel may see later packets, so timers read the flow map
 * before they end a session. */
#define SG_TIMEOUT_TCP_OPENING (20 * SG_SECOND)
#define SG_TIMEOUT_TCP_NO_DATA (30 * SG_SECOND)
#define SG_TIMEOUT_TCP_ACTIVE (SEG_TIMEOUT_TCP_S * SG_SECOND)
#define SG_TIMEOUT_TCP_HALF_CLOSED (90 * SG_SECOND)
#define SG_TIMEOUT_TCP_LAST_ACK SG_SECOND
/* Of its entry: clients that connect by the thousand take their ports again within half a second, and a SYN that finds an
 * entry comes to the engine. */
#define SG_TIMEOUT_TCP_CLOSED_ENTRY (SG_SECOND / 10)
#define SG_TIMEOUT_TCP_CLOSED (15 * SG_SECOND)
#define SG_TIMEOUT_TCP_RESET (60 * SG_SECOND)
/* A datagram flow lives longer once both sides have sent (as in Linux's conntrack). */
#define SG_TIMEOUT_UDP (30 * SG_SECOND)
#define SG_TIMEOUT_UDP_ANSWERED (SEG_TIMEOUT_UDP_S * SG_SECOND)
#define SG_TIMEOUT_ICMP (SEG_TIMEOUT_ICMP_S * SG_SECOND)
#define SG_TIMEOUT_OTHER (30 * SG_SECOND)
#define SG_TIMEOUT_OTHER_ANSWERED (SEG_TIMEOUT_OTHER_S * SG_SECOND)
#define SG_TIMEOUT_SCTP_ANSWERED (SEG_TIMEOUT_SCTP_S * SG_SECOND)	/* heartbeats may be off */
#define SG_TIMEOUT_FRAGMENT (10 * SG_SECOND)

struct sg_key {
	__u16 port_id;
	__u8 family;
	__u8 proto;
	__u16 lport;		/* host order. ICMP: the identifier */
	__u16 rport;		/* ICMP: the initiator's direction << 8 | the query's type */
	__u8 laddr[16];
	__u8 raddr[16];
};
SEG_ABI_SIZE(sg_key, 40);

struct sg_session {
	struct sg_key key;
	__u32 slot;
	__u32 id;
	__u32 hash_next;
	__u32 port_next;
	__u32 port_prev;
	__u32 wheel_next;
	__u32 wheel_prev;
	__u32 wheel_slot;	/* 0 = not on the wheel; else index + 1 */
	__u64 wheel_ns;		/* when its timer is due */
	__u64 created_ns;
	__u64 last_seen_ns;
	__u64 generation;	/* of the policy that judged it */
	__u64 packets[2];	/* [0] from the initiator; without the current flow-map entry */
	__u64 bytes[2];
	__u64 kernel_packets;	/* of packets: those that the kernel carried */
	__u64 kernel_bytes;
	__u64 dropped_packets;	/* by the kernel, while denied; no event yet */
	__u64 dropped_bytes;
	__u64 told_packets;	/* of a denied service: its entry's packets that are among the dropped ones already */
	__u64 told_bytes;
	__u64 put_ns;		/* last write of its flow-map entry */
	__u64 put_generation;
	__u64 retry_ns;		/* not before: the flow map refused it */
	__u64 opened;		/* seg_flow.session of the entry that a program made; 0: the engine opened it */
	struct sg_rule_keys keys;	/* of the rules that decided on it last */
	__u64 held;		/* key of the condition that held when one decided last; 0: none did */
	__u32 rule_id;
	__u32 fin_end[2];	/* sequence number after the FIN; 0: the kernel carried it */
	__u32 first_seq[2];	/* with starts: sequence number of each side's first byte */
	__u16 reason;		/* why it is denied, or SEG_R_NONE */
	__u16 from_port;	/* of a denied service: its first packet's source port, or ICMP identifier */
	__u16 violation_reason;	/* with violation: why it would be */
	__u8 initiator;		/* enum seg_dir */
	__u8 denied;		/* its packets are dropped */
	__u8 blocked;		/* denied after it was open */
	__u8 violation;		/* passes only because the mode or the rule records */
	__u8 rejects;		/* denied, and answered */
	__u8 service;		/* denied whatever the initiator's port, which is 0 in the key */
	__u8 several;		/* of a denied service: the kernel dropped packets from other ports than from_port */
	__u8 unanswered;	/* denied, and its last packet was not answered */
	__u8 tcp_state;
	__u8 fin_seen;		/* bit per side */
	__u8 fin_acked;
	__u8 reset_side;	/* which side sent the RST, while closed by one */
	__u8 resets;		/* answers sent for a blocked session */
	__u8 data_seen;
	__u8 seen_sides;	/* bit per side that sent a packet; TCP: one other than the first SYN and a RST */
	__u8 midstream;
	__u8 guessed;		/* TCP: its SYN was not seen, and initiator is the likelier side */
	__u8 vlan;		/* seen with a tag, so the flow map would not match */
	__u8 cached;		/* bit 1 << enum seg_dir: what its entry in the flow map decides; 0: it has none */
	__u8 ended;		/* its end event was emitted */
	__u8 in_use;
	__u8 lasting;		/* both sides have sent: on that list of its port's */
	__u8 look;		/* enum sg_look */
	__u8 app;		/* enum sg_app */
	__u8 proof;		/* enum sg_app_proof */
	__u8 waits;		/* its payload must not pass before its application is known; else it is only found out */
	__u8 starts;		/* while it is looked at, or scanned: its SYN+ACK was seen */
	__u8 proven;		/* it is among its port's unproven connections no more (flow/sg_credit.h) */
	__u8 crossed;		/* while its application is not known: payload was sent on all the same */
	__u8 unread;		/* requests passed, where the mode only records, that nobody read or that are none */
	__u8 by_peer;		/* it is found by its peer (sg_peers.h) */
	__u8 dns;		/* the workload asks a resolver */
	__u8 scans;		/* TCP: no byte has passed since its SYN that sensors were not shown */
};
_Static_assert(sizeof(struct sg_session) <= SG_STORE_SESSION, "memory of a session");

/* The head of the memory that outlives the engine; the events follow at SG_STORE_HEAD, then the hits, the names, the
 * questions, and at SG_STORE_SESSIONS the sessions, by slot. */
struct sg_store {
	__u64 magic;
	__u32 session_bytes;	/* another version's are not understood */
	__u32 used;		/* as sg_table's */
	__u64 layout;		/* SG_LAYOUT of who wrote it */
	__u32 next_id;		/* as sg_table's */
	__u32 pad;
};

enum sg_session_limit {
	SG_RESETS_MAX = 8,		/* for one denied flow; then the kernel drops it */
	SG_SLAB = 1024,
	SG_SHARE = 8,			/* times what is free is a port's of the table */
	SG_PEER_SHARE = 1,		/* times what is free of that, a peer's */
	SG_NET_SHARE = 2,		/* an IPv6 network's, /64 */
	SG_PEERS = 65536,		/* counters by hash; peers that share one have less room */
	SG_WHEEL_SLOTS = 16384,		/* of 100 ms: beyond the longest timeout */
};
#define SG_WHEEL_NS 100000000ULL

struct sg_list {
	__u32 head;		/* the newest there */
	__u32 tail;
};

/* The sessions of one port: those in which only one side has sent, the others, and those created until closed_ns, by a
 * former port of this id. */
struct sg_port_list {
	struct sg_list fresh;
	struct sg_list lasting;
	struct sg_list closing;
	__u32 count;
	__u64 closed_ns;
};

enum sg_room { SG_ROOM, SG_NO_ROOM, SG_NO_ROOM_FOR_PEER };

struct sg_table {
	struct sg_hash_key hash_key;
	struct sg_session **slabs;
	struct sg_store *store;	/* NULL: the slabs are on the heap */
	__u32 *buckets;
	__u32 bucket_mask;
	__u32 max;
	__u32 used;		/* slots ever handed out */
	__u32 count;
	__u32 free_head;
	__u32 next_id;
	__u64 wheel_tick;	/* the tick looked at last */
	__u32 peers[SG_PEERS];	/* sessions with each, in each port: by address, and by network */
	__u32 wheel[SG_WHEEL_SLOTS];
};

int sg_table_init(struct sg_table *table, __u32 max);
void sg_table_free(struct sg_table *table);

static inline struct sg_session *sg_table_slot(const struct sg_table *table, __u32 slot)
{
	return slot ? &table->slabs[(slot - 1) / SG_SLAB][(slot - 1) % SG_SLAB] : NULL;
}

/* Return whether packets of the session must be looked at. */
static inline int sg_session_is_looked_at(const struct sg_session *s)
{
	return s->look == SG_LOOK_PENDING || s->look == SG_LOOK_DECIDED || s->look == SG_LOOK_REQUESTS;
}

/* End the look at its payload. What held of requests that were read says nothing of those that nobody will read. */
static inline void sg_session_look_no_more(struct sg_session *s)
{
	if (s->look == SG_LOOK_REQUESTS) {
		s->unread = 1;
		s->held = 0;
	}
	s->look = SG_LOOK_OVER;
}

/* Return a number that no other session ever has: its id, and its slot. */
static inline __u64 sg_session_handle(const struct sg_session *s)
{
	return (__u64)s->id << 32 | s->slot;
}

/* Return the session of a handle; NULL: it is over. */
static inline struct sg_session *sg_table_by_handle(const struct sg_table *table, __u64 handle)
{
	struct sg_session *s = (__u32)handle <= table->used ? sg_table_slot(table, (__u32)handle) : NULL;

	return s && s->in_use && sg_session_handle(s) == handle ? s : NULL;
}

struct sg_session *sg_table_find(const struct sg_table *table, const struct sg_key *key);
/* Return whether the port and key's peer there have room for one more session. A port's share is SG_SHARE times the free
 * room of the table, a peer's is SG_PEER_SHARE times the free room of the port. So neither takes the last room of others,
 * and each may have almost all while others need none (dynamic thresholds, Choudhury and Hahne 1998). */
enum sg_room sg_table_room(const struct sg_table *table, const struct sg_key *key,
			   const struct sg_port_list *list);
/* Add a zeroed session to the table and its port's list, without a timer. NULL: no room, or no memory. */
struct sg_session *sg_table_add(struct sg_table *table, const struct sg_key *key,
				struct sg_port_list *list);
/* Move a session in which both sides have sent to the lasting ones. */
void sg_table_lasts(struct sg_table *table, struct sg_session *s, struct sg_port_list *list);
/* Make a session the newest of the fresh ones. */
void sg_table_renew(struct sg_table *table, struct sg_session *s, struct sg_port_list *list);
/* Move all sessions to those of a former port. */
void sg_table_close(struct sg_table *table, struct sg_port_list *list, __u64 now_ns);
/* Return whether two keys of one port have the same peer. */
int sg_table_same_peer(const struct sg_key *a, const struct sg_key *b);
void sg_table_remove(struct sg_table *table, struct sg_session *s, struct sg_port_list *list);

/* Keep the sessions of an empty table in this memory, which has room for `max`. */
void sg_table_place(struct sg_table *table, struct sg_store *store);
/* Return the next slot that was never used, as it is in memory; 0: there is none. The caller must insert it, or give it
 * back. */
__u32 sg_table_grow(struct sg_table *table);
/* Insert a session that is in its slot, but on no list, chain or wheel. */
void sg_table_insert(struct sg_table *table, struct sg_session *s, __u32 slot,
		   struct sg_port_list *list);
void sg_table_give_back(struct sg_table *table, struct sg_session *s, __u32 slot);

/* Set the timer of s to `at_ns`, or up to 100 ms later. Later deadlines than the current one are no-ops. */
void sg_wheel_arm(struct sg_table *table, struct sg_session *s, __u64 at_ns);
/* Advance the wheel towards now and return the next session that is due, taken off the wheel; NULL: none. */
struct sg_session *sg_wheel_due(struct sg_table *table, __u64 now_ns);

#endif
