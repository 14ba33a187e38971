/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Recognises DHCP renewals; see the header. In: packets. Out: whether they pass without a rule. I/O: the
 * servers that other workers know. */
#include "verdict/sg_renewal.h"

#include "flow/sg_ask.h"
#include "verdict/sg_group_query.h"

enum { CLIENT = 68, SERVER = 67 };

static int is_dhcp4(const struct sg_packet *p, __u16 sport, __u16 dport)
{
	return p->kind == SG_KIND_UDP && p->family == SEG_FAMILY_IPV4 && p->sport == sport &&
	       p->dport == dport;
}

static struct seg_query_key server_key(__u16 port_id)
{
	return (struct seg_query_key){
		.port_id = port_id, .proto = SG_PROTO_UDP, .family = SEG_FAMILY_IPV4, .asked_port = SERVER,
	};
}

void sg_renewal_forget(const struct sg_core *core, __u16 port_id)
{
	const struct seg_query_key key = server_key(port_id);
	const struct seg_query nobody = { 0 };

	if (core->config.workers > 1)
		core->io.query_put(core->io.ctx, &key, &nobody);
}

void sg_renewal_learn(const struct sg_context *c)
{
	struct sg_renewal *renewal = &c->port->renewal;
	const struct sg_packet *p = c->p;
	struct seg_query server = { .last_ns = c->now_ns };
	struct seg_query_key key;

	if (p->dir != SEG_DIR_INGRESS || !is_dhcp4(p, SERVER, CLIENT))
		return;
	memcpy(renewal->server, p->saddr, sizeof(renewal->server));
	renewal->known = 1;
	if (c->core->config.workers < 2)
		return;
	key = server_key(p->port_id);
	memcpy(server.asked, p->saddr, sizeof(server.asked));
	c->core->io.query_put(c->core->io.ctx, &key, &server);
}

/* Take the server that the last worker heard. */
static void ask_others(const struct sg_context *c)
{
	struct seg_query_key key = server_key(c->p->port_id);
	struct seg_query server;

	if (c->core->config.workers < 2 || c->core->io.query_get(c->core->io.ctx, &key, &server))
		return;
	memcpy(c->port->renewal.server, server.asked, sizeof(server.asked));
	c->port->renewal.known = 1;
}

/* Virtual scheduling: a timestamp, no timer. */
static int is_paced(struct sg_renewal *renewal, __u64 now_ns)
{
	if (renewal->paced_ns < now_ns)
		renewal->paced_ns = now_ns;
	if (renewal->paced_ns - now_ns > (SG_RENEWALS - 1) * SG_RENEWAL_GAP)
		return 0;
	renewal->paced_ns += SG_RENEWAL_GAP;
	return 1;
}

int sg_renewal_passes(const struct sg_context *c)
{
	struct sg_renewal *renewal = &c->port->renewal;
	const struct sg_packet *p = c->p;
	int out = p->dir == SEG_DIR_EGRESS;

	if (!(out ? is_dhcp4(p, CLIENT, SERVER) : is_dhcp4(p, SERVER, CLIENT)))
		return 0;
	ask_others(c);
	if (!renewal->known || memcmp(c->key.raddr, renewal->server, sizeof(renewal->server)) || p->to_group ||
	    p->frames != 1 || p->bytes > SG_RENEWAL_BYTES || sg_flow_ask(c->port, &c->key, p->dir).reason != SEG_R_DEFAULT_DENY)
		return 0;
	if (!out) {
		if (!renewal->answers || c->now_ns > renewal->asked_ns + SG_TIMEOUT_GROUP_QUERY)
			return 0;
		renewal->answers--;
		return 1;
	}
	if (!is_paced(renewal, c->now_ns))
		return 0;
	renewal->asked_ns = c->now_ns;
	renewal->answers = SG_RENEWALS;
	return 1;
}
