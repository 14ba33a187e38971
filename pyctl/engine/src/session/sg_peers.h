/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Finds the sessions between a port and an address: of ports whose policy knows addresses by names, which change what an
 * address is while sessions to it are there. */
#ifndef SG_PEERS_H
#define SG_PEERS_H

#include "base/sg_pool.h"
#include "session/sg_session.h"

struct sg_peers {
	const struct sg_hash_key *hash_key;
	struct sg_pool pool;	/* its places are the sessions' slots */
};

/* 0 or -ENOMEM. `sessions` is the highest slot. */
int sg_peers_init(struct sg_peers *peers, const struct sg_hash_key *hash_key, __u32 sessions);
void sg_peers_free(struct sg_peers *peers);
void sg_peers_add(struct sg_peers *peers, struct sg_session *s);
void sg_peers_remove(struct sg_peers *peers, struct sg_session *s);
/* Return the next session between the port and the address, after `s` (NULL: the first one); NULL: there are no more. */
struct sg_session *sg_peers_next(const struct sg_peers *peers, const struct sg_table *table, __u16 port_id, __u8 family,
				 const __u8 *address, const struct sg_session *s);
/* Return whether a session between them passes, and is not over. */
int sg_peers_live(const struct sg_peers *peers, const struct sg_table *table, __u16 port_id, __u8 family,
		  const __u8 *address);

#endif
