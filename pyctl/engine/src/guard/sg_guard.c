/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Threats and a port's settings; see the header. In: packets, sessions, verdicts. Out: events, verdicts. */
#include "guard/sg_guard.h"

#include "flow/sg_ask.h"
#include "flow/sg_cache.h"
#include "flow/sg_credit.h"
#include "flow/sg_flow.h"
#include "packet/sg_decode.h"
#include "payload/sg_payload_protocols.h"
#include "session/sg_tcp.h"
#include "threat/sg_detect.h"

#define GUARDED_NS (5 * SG_SECOND)	/* how long after a dropped threat programs open nothing for the port */
#define SAMPLE_GAP_NS (SG_SECOND / 10)
#define SAMPLE_AGE_NS (SG_SECOND / 20)	/* after so long an answer would have come */

enum {
	SAMPLE = 64, SAMPLE_WALK = 256,	/* each that is sampled may cost a system call */
	WELL_KNOWN = 1024,	/* ports below it are services' */
	PORT_UNREACHABLE = 3, PORT_UNREACHABLE6 = 4,
};

#define SCANS (1ULL << SG_THREAT_PORT_SCAN | 1ULL << SG_THREAT_ADDRESS_SCAN)

static const struct sg_threat_settings *settings_of(const struct sg_port *port)
{
	static const struct sg_threat_settings none;

	return port->rules ? &port->rules->policy.threats : &none;
}

/* Whose events of this threat are counted together. */
static struct sg_alarm_name name_of(const struct sg_event *event, __u32 threat)
{
	struct sg_alarm_name name = { .port_id = event->port_id };
	int by_source = threat == SG_THREAT_ADDRESS_SCAN || threat == SG_THREAT_PORT_SCAN;

	if (threat == SG_THREAT_ADDRESS_SCAN)
		name.port_id = 0;
	if (threat != SG_THREAT_ICMP_FLOOD)
		memcpy(name.peer, by_source || event->dir == SEG_DIR_INGRESS ? event->saddr : event->daddr,
		       sizeof(name.peer));
	return name;
}

/* Emit these threats, of which so many are dropped. */
static void tell(struct sg_core *core, struct sg_event event, __u64 threats, __u64 dropped)
{
	struct sg_alarm_name name;

	event.kind = SG_EVENT_THREAT;
	for (; threats; threats &= threats - 1) {
		event.rule_id = (__u32)__builtin_ctzll(threats);
		event.reason = sg_threat_is_on(dropped, event.rule_id) ? SEG_R_THREAT : SEG_R_NONE;
		name = name_of(&event, event.rule_id);
		sg_alarm_raise(&core->report.alarms, &core->report.events, core->report.hash_key, &event, &name);
	}
}

static struct sg_event event_of(const struct sg_context *c)
{
	const struct sg_packet *p = c->p;
	struct sg_event event = {
		.time_ns = c->now_ns, .packets = p->frames, .bytes = p->bytes, .port_id = p->port_id, .dir = p->dir,
		.family = p->family, .proto = p->proto, .sport = p->sport, .dport = p->dport,
	};

	memcpy(event.saddr, p->saddr, sizeof(event.saddr));
	memcpy(event.daddr, p->daddr, sizeof(event.daddr));
	return event;
}

/* Which of these threats the port drops: none, whatever its settings, of a copy or where the mode only records. */
static __u64 dropped_of(const struct sg_context *c, __u64 threats)
{
	if (sg_frame_is_copy(c->p->frame) || sg_policy_records_only(c->port->rules))
		return 0;
	return threats & settings_of(c->port)->drop;
}

/* From now on each connection of the port is opened by a packet that comes here. */
static void guard_port(const struct sg_context *c)
{
	c->port->guarded_ns = c->now_ns + GUARDED_NS;
	sg_credit_give(c->core, c->p->port_id);
}

static int drop(const struct sg_context *c, __u64 dropped, struct sg_verdict *r)
{
	if (!dropped)
		return 0;
	sg_count(&c->port->counts, SEG_R_THREAT, c->p->frames, c->p->bytes);
	*r = (struct sg_verdict){ .initiator = c->p->dir, .actions = SG_KEEP };
	if (dropped & settings_of(c->port)->reset)
		r->actions |= SG_REJECT;
	return 1;
}

/* Look at some of the source's connections that were not answered as far as is known: the kernel may have seen more. Where
 * they were, there is no flood. */
static int is_flood(const struct sg_context *c, const struct sg_sight *sight)
{
	const struct sg_table *table = &c->core->table;
	struct sg_session *s = sg_table_slot(table, c->port->sessions.fresh.tail);
	__u32 answered = 0, of = 0, young = 0;

	if (c->now_ns < c->port->sampled_ns + SAMPLE_GAP_NS)
		return sg_syn_flood_is_sure(sight);
	c->port->sampled_ns = c->now_ns;
	for (int walked = 0; s && walked < SAMPLE_WALK && of < SAMPLE; walked++, s = sg_table_slot(table, s->port_prev)) {
		if (s->denied || s->key.proto != SG_PROTO_TCP || !sg_table_same_peer(&s->key, &c->key))
			continue;
		if (c->now_ns < s->created_ns + SAMPLE_AGE_NS) {
			young++;
			continue;
		}
		sg_cache_peek(c->core, s);
		of++;
		answered += sg_tcp_is_answered(s);
	}
	return (of || !young) && sg_syn_flood_sampled(sight, answered, of);
}

static __u64 check_flood(const struct sg_context *c, const struct sg_sight *sight, __u64 found)
{
	const __u64 flood = 1ULL << SG_THREAT_SYN_FLOOD;

	return found & flood && !is_flood(c, sight) ? found & ~flood : found;
}

static struct sg_probe probe_of(const struct sg_packet *p)
{
	struct sg_probe probe = { .port = p->dport, .proto = p->proto };

	memcpy(probe.source, p->saddr, sizeof(probe.source));
	memcpy(probe.target, p->daddr, sizeof(probe.target));
	return probe;
}

/* The scans that the packet's source is in, if it opens a flow and the port drops scans. */
static __u64 scans_of(const struct sg_context *c)
{
	const struct sg_packet *p = c->p;
	struct sg_probe probe;

	if (!dropped_of(c, SCANS) || (p->kind != SG_KIND_UDP && p->kind != SG_KIND_ICMP_QUERY && !sg_tcp_opens(p)) ||
	    (p->kind != SG_KIND_TCP && sg_table_find(&c->core->table, &c->key)))
		return 0;
	probe = probe_of(p);
	return sg_scans_of(&c->core->threats, &probe, c->now_ns) & settings_of(c->port)->drop;
}

/* Count a name that carries data; a tunnel is about 50 of one domain within one to two minutes. */
static __u64 tunnel_of(const struct sg_context *c, const struct sg_dns_name *asked)
{
	struct sg_threats *threats = &c->core->threats;
	__u64 name[3] = { (__u64)SG_THREAT_DNS_TUNNEL << 56 | c->p->port_id };

	if (!sg_dns_name_is_data(asked))
		return 0;
	name[1] = sg_hash_text(threats->hash_key, asked->domain, asked->domain_len);
	return sg_detect_tunnel(threats, name, sg_hash_text(threats->hash_key, asked->sub, asked->sub_len), c->now_ns);
}

/* The threats of a datagram of DNS's port. */
static __u64 lookup_threats(const struct sg_context *c)
{
	const struct sg_packet *p = c->p;
	__u64 on = settings_of(c->port)->on & SG_THREATS_OF_LOOKUPS, found;
	__u32 here = p->l4_len - SG_UDP_LEN;
	struct sg_dns_name name;

	if (!on || p->kind != SG_KIND_UDP || (p->sport != SG_DNS_PORT && p->dport != SG_DNS_PORT))
		return 0;
	found = sg_payload_dns(p->frame->data + p->l4 + SG_UDP_LEN, p->payload_len < here ? p->payload_len : here, &name);
	if (sg_threat_is_on(on, SG_THREAT_DNS_TUNNEL))
		found |= tunnel_of(c, &name);
	return found & on;
}

int sg_guard_packet(struct sg_context *c, struct sg_verdict *r)
{
	__u64 on = settings_of(c->port)->on, found, dropped;
	struct sg_sight sight = { .p = c->p, .threats = &c->core->threats, .now_ns = c->now_ns };
	int opens = c->p->kind == SG_KIND_TCP && sg_tcp_opens(c->p);

	if (!on || (c->p->kind == SG_KIND_TCP && !opens))
		return 0;
	sg_flow_key(c->p, &c->key);
	if (opens)
		sight.session = sg_table_find(&c->core->table, &c->key);
	found = check_flood(c, &sight, sg_detect(&sight, on)) | scans_of(c) | lookup_threats(c);
	if (!found)
		return 0;
	dropped = dropped_of(c, found);
	if (dropped & (SCANS | 1ULL << SG_THREAT_SYN_FLOOD | 1ULL << SG_THREAT_SESSION_LIMIT))
		guard_port(c);
	tell(c->core, event_of(c), found, dropped);
	return drop(c, dropped, r);
}

void sg_guard_opened(const struct sg_context *c)
{
	__u64 on = settings_of(c->port)->on, found;
	struct sg_sight sight = { .p = c->p, .threats = &c->core->threats, .now_ns = c->now_ns };
	struct sg_event event;

	if (!on)
		return;
	found = check_flood(c, &sight, sg_detect_opened(&sight, on));
	if (!found)
		return;
	if (dropped_of(c, found))
		guard_port(c);
	event = event_of(c);
	event.packets = 1;
	tell(c->core, event, found, 0);
}

int sg_guard_wants_more(const struct sg_port *port, const struct sg_payload *look)
{
	return settings_of(port)->on & (SG_THREATS_OF_PAYLOAD | SG_THREATS_OF_LOOKUPS) && sg_look_wants_more(look);
}

int sg_guard_payload(const struct sg_context *c, struct sg_session *s, struct sg_payload *look, struct sg_verdict *r)
{
	__u64 on = settings_of(c->port)->on & (SG_THREATS_OF_PAYLOAD | SG_THREATS_OF_LOOKUPS), found, dropped;
	struct sg_event event = { 0 };

	if (!on)
		return 0;
	found = sg_look_threats(look) & on;
	if (!found)
		return 0;
	dropped = dropped_of(c, found);
	sg_flow_event(s, &event);
	event.time_ns = c->now_ns;
	event.packets = c->p->frames;
	event.bytes = c->p->bytes;
	tell(c->core, event, found, dropped);
	if (!dropped)
		return 0;
	sg_flow_block(c, s, SEG_R_THREAT);
	s->blocked = 1;
	s->resets = dropped & settings_of(c->port)->reset ? 1 : SG_RESETS_MAX;
	*r = (struct sg_verdict){
		.reason = SEG_R_THREAT, .initiator = s->initiator, .session = s, .actions = SG_DROP_WAITING,
	};
	if (dropped & settings_of(c->port)->reset)
		r->actions |= SG_RESET_RECEIVER | SG_RESET_SENDER;
	return 1;
}

void sg_guard_found(const struct sg_context *c, enum sg_threat threat)
{
	__u64 found = settings_of(c->port)->on & 1ULL << threat;

	tell(c->core, event_of(c), found, dropped_of(c, found));
}

/* Count a refused attempt, which the event names. */
static void refused(struct sg_core *core, struct sg_event *event, __u64 now_ns)
{
	struct sg_port *port = core->ports[event->port_id];
	__u64 on = settings_of(port)->on & SCANS, found;
	struct sg_probe probe = { .port = event->dport, .proto = event->proto };

	if (!on)
		return;
	memcpy(probe.source, event->saddr, sizeof(probe.source));
	memcpy(probe.target, event->daddr, sizeof(probe.target));
	found = sg_detect_scan(&core->threats, &probe, now_ns) & on;
	event->time_ns = now_ns;
	event->packets = 1;
	event->sport = event->dport = 0;
	tell(core, *event, found, 0);
}

/* Whether a connection ended by the RST with which a closed port answers. */
static int was_closed(const struct sg_session *s)
{
	return s && s->key.proto == SG_PROTO_TCP && s->tcp_state == SG_TCP_CLOSE && s->reset_side == 1 && !s->denied &&
	       !s->midstream && !sg_tcp_is_answered(s);
}

static int is_denial(__u16 reason)
{
	return reason == SEG_R_POLICY_DENY || reason == SEG_R_DEFAULT_DENY;
}

/* Whether the packet opens a flow, and is no late answer: a service's to a port that it was asked from. */
static int is_attempt(const struct sg_packet *p)
{
	switch (p->kind) {
	case SG_KIND_TCP:
		return sg_tcp_opens(p);
	case SG_KIND_UDP:
		return p->sport >= WELL_KNOWN || p->dport < WELL_KNOWN;
	case SG_KIND_SCTP:
		return p->opens;
	default:
		return p->kind == SG_KIND_ICMP_QUERY || p->kind == SG_KIND_PROTO;
	}
}

static int is_port_unreachable(const struct sg_packet *p)
{
	if (p->kind != SG_KIND_ICMP_ERROR)
		return 0;
	if (p->family == SEG_FAMILY_IPV4)
		return p->icmp_type == 3 && p->icmp_code == PORT_UNREACHABLE;
	return p->icmp_type == 1 && p->icmp_code == PORT_UNREACHABLE6;
}

void sg_guard_judged(const struct sg_context *c, const struct sg_verdict *r)
{
	const struct sg_packet *p = c->p;
	const struct sg_session *s = r->session;
	struct sg_context about = *c;
	struct sg_packet inner;
	struct sg_event event;

	if (!(settings_of(c->port)->on & SCANS))
		return;
	if (is_attempt(p) && (is_denial(r->reason) || (s && s->violation && is_denial(s->violation_reason) &&
						       s->created_ns == c->now_ns))) {
		event = event_of(c);
	} else if (p->kind == SG_KIND_TCP && p->tcp_flags & SG_RST && was_closed(s) && p->dir != s->initiator) {
		sg_guard_closed(c->core, s);
		return;
	} else if (!r->reason && is_port_unreachable(p) && !sg_decode_quoted(p, &inner)) {
		about.p = &inner;
		event = event_of(&about);
	} else {
		return;
	}
	refused(c->core, &event, c->now_ns);
}

void sg_guard_closed(struct sg_core *core, const struct sg_session *s)
{
	struct sg_event event = { 0 };

	if (!was_closed(s))
		return;
	sg_flow_event(s, &event);
	refused(core, &event, core->now_ns);
}
