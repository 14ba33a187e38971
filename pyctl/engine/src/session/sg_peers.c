/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Sessions by peer; see the header. In: sessions. Out: sessions. No I/O. */
#include "session/sg_peers.h"

int sg_peers_init(struct sg_peers *peers, const struct sg_hash_key *hash_key, __u32 sessions)
{
	peers->hash_key = hash_key;
	return sg_pool_init(&peers->pool, sessions);
}

void sg_peers_free(struct sg_peers *peers)
{
	sg_pool_free(&peers->pool);
}

static __u64 hash_of(const struct sg_peers *peers, __u16 port_id, __u8 family, const __u8 *address)
{
	__u64 name[3] = { (__u64)port_id << 8 | family };

	memcpy(&name[1], address, 16);
	return sg_hash(peers->hash_key, name, sizeof(name));
}

void sg_peers_add(struct sg_peers *peers, struct sg_session *s)
{
	s->by_peer = 1;
	sg_pool_link(&peers->pool, s->slot, hash_of(peers, s->key.port_id, s->key.family, s->key.raddr));
}

void sg_peers_remove(struct sg_peers *peers, struct sg_session *s)
{
	if (s->by_peer)
		sg_pool_unlink(&peers->pool, s->slot, hash_of(peers, s->key.port_id, s->key.family, s->key.raddr));
	s->by_peer = 0;
}

struct sg_session *sg_peers_next(const struct sg_peers *peers, const struct sg_table *table, __u16 port_id, __u8 family,
				 const __u8 *address, const struct sg_session *s)
{
	__u32 slot = s ? sg_pool_next(&peers->pool, s->slot) :
			 sg_pool_first(&peers->pool, hash_of(peers, port_id, family, address));
	struct sg_session *next;

	for (; slot; slot = sg_pool_next(&peers->pool, slot)) {
		next = sg_table_slot(table, slot);
		if (next->key.port_id == port_id && next->key.family == family && !memcmp(next->key.raddr, address, 16))
			return next;
	}
	return NULL;
}

int sg_peers_live(const struct sg_peers *peers, const struct sg_table *table, __u16 port_id, __u8 family,
		  const __u8 *address)
{
	struct sg_session *s = NULL;

	while ((s = sg_peers_next(peers, table, port_id, family, address, s)))
		if (!s->denied && !s->ended)
			return 1;
	return 0;
}
