/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Judges flows of datagrams by names; see the header. In: packets, sessions. Out: verdicts.
 *
 * No datagram waits: no server acts on a part of a handshake, so one passes that completes none, and the one that completes it
 * with a wrong name does not. Who sends may begin another connection in the same flow, so each Initial packet is read, and the
 * flow stays with the engine. So does one that is not QUIC, until its server answers as none of QUIC: a first datagram is
 * easily made to look like anything. */
#include "datagram/sg_judge_quic.h"

#include "flow/sg_ask.h"
#include "flow/sg_flow.h"
#include "packet/sg_decode.h"

enum { GSO_SIZE_AT = 4, OPENING = 0 /* no session has this slot */ };

/* Datagrams of a frame, of which a super-frame has several. */
struct datagrams {
	const __u8 *at;
	__u32 left;
	__u32 size;
};

static struct datagrams datagrams_of(const struct sg_packet *p)
{
	__u32 here = p->l4_len - SG_UDP_LEN;
	struct datagrams all = {
		.at = p->frame->data + p->l4 + SG_UDP_LEN, .left = p->payload_len < here ? p->payload_len : here,
	};
	__u16 size;

	memcpy(&size, p->frame->vnet + GSO_SIZE_AT, sizeof(size));
	all.size = sg_frame_is_gso(p->frame) && size ? size : all.left;
	return all;
}

static __u32 take(struct datagrams *all, const __u8 **at)
{
	__u32 len = all->size < all->left ? all->size : all->left;

	*at = all->at;
	all->at += len;
	all->left -= len;
	return len;
}

enum version { NOT_LONG, READABLE, GREASE, OTHER };

static enum version version_of(const __u8 *at, __u32 len)
{
	if (len < 7 || !(at[0] & 0x80))
		return NOT_LONG;
	if (sg_quic_is_readable(sg_get32(at + 1)))
		return READABLE;
	return (sg_get32(at + 1) & 0x0f0f0f0f) == 0x0a0a0a0a ? GREASE : OTHER;
}

static int is_cut(const struct sg_packet *p)
{
	return p->payload_len > p->l4_len - SG_UDP_LEN;
}

static enum sg_quic_say read_frame(const struct sg_context *c, struct sg_quic *quic)
{
	struct datagrams all = datagrams_of(c->p);
	enum sg_quic_say said = SG_QUIC_NOTHING;
	const __u8 *at;
	__u32 len;

	/* Of fragments that could not be joined, and that no client sends, the rest is not here. */
	if (is_cut(c->p) && version_of(all.at, all.left) == READABLE)
		return SG_QUIC_HIDES;
	while ((len = take(&all, &at))) {
		enum sg_quic_say one = quic ? sg_quic_client(&c->core->quics, quic, c->p->port_id, at, len) : SG_QUIC_HIDES;

		said = one > said ? one : said;
	}
	return said;
}

static void hide(struct sg_facts *facts)
{
	*facts = (struct sg_facts){ .broken = ~0U };
}

/* Let events, and who looks at the flow, know its name. */
static void tell_name(const struct sg_context *c, const struct sg_session *s, const struct sg_facts *facts)
{
	char *text = c->core->report.text;
	__u32 len = facts->sni_len < SG_EVENT_TEXT - 1 ? facts->sni_len : SG_EVENT_TEXT - 1;

	memcpy(text, facts->sni, len);
	text[len] = 0;
	if (s && facts->known & ~facts->broken & 1U << SG_FIELD_NAME)
		sg_shown_set(&c->core->shown, s, (const char *)facts->sni, facts->sni_len);
}

void sg_judge_quic_opening(const struct sg_context *c, struct sg_seen *seen, struct sg_facts *facts)
{
	struct sg_quics *quics = &c->core->quics;
	struct datagrams all = datagrams_of(c->p);
	enum version version = version_of(all.at, all.left);
	struct sg_quic *quic;
	enum sg_quic_say said;

	sg_quic_end(quics, OPENING, c->p->port_id);
	*facts = (struct sg_facts){ 0 };
	if (is_cut(c->p) && version == READABLE)
		*seen = (struct sg_seen){ .app = SG_APP_QUIC, .proof = SG_APP_GUESS };
	facts->any_name = seen->app != SG_APP_QUIC || version == GREASE;
	if (facts->any_name)
		return;
	quic = sg_quic_get(quics, OPENING, c->p->port_id);
	said = read_frame(c, quic);
	if (said == SG_QUIC_HIDES || version != READABLE)
		hide(facts);
	else
		sg_quic_facts(quic, facts);
	tell_name(c, NULL, facts);
}

void sg_judge_quic_opened(const struct sg_context *c, struct sg_session *s, int watched)
{
	struct sg_quics *quics = &c->core->quics;
	struct sg_facts facts = { 0 };

	if (!watched || s->key.proto != SG_PROTO_UDP) {
		sg_quic_end(quics, OPENING, c->p->port_id);
		return;
	}
	if (s->look != SG_LOOK_PENDING)
		s->look = SG_LOOK_REQUESTS;
	if (!quics->of[OPENING])
		return;
	sg_quic_end(quics, s->slot, s->key.port_id);
	quics->of[s->slot] = quics->of[OPENING];
	quics->of[OPENING] = NULL;
	sg_quic_facts(quics->of[s->slot], &facts);
	tell_name(c, s, &facts);
}

static struct sg_verdict verdict_of(const struct sg_context *c, struct sg_session *s)
{
	sg_flow_touch(c, s);
	return (struct sg_verdict){ .rule_id = s->rule_id, .reason = s->reason, .initiator = s->initiator, .session = s };
}

/* Look at the flow no more. */
static void stop_looking(const struct sg_context *c, struct sg_session *s)
{
	s->look = SG_LOOK_OVER;
	sg_quic_end(&c->core->quics, s->slot, s->key.port_id);
}

static struct sg_verdict judge_answer(const struct sg_context *c, struct sg_session *s)
{
	struct sg_quic *quic = c->core->quics.of[s->slot];
	struct datagrams all = datagrams_of(c->p);
	const __u8 *at;
	__u32 len;

	while (s->look != SG_LOOK_OVER && (len = take(&all, &at)))
		if (sg_quic_server(&c->core->quics, quic, c->p->port_id, at, len) && s->app != SG_APP_QUIC &&
		    s->look == SG_LOOK_REQUESTS)
			stop_looking(c, s);
	return verdict_of(c, s);
}

/* Judge the flow as QUIC that tells this. */
static struct sg_verdict judge_facts(const struct sg_context *c, struct sg_session *s, const struct sg_facts *facts)
{
	struct sg_answer answer = sg_flow_ask_facts(c->port, &s->key, s->initiator, SG_APP_QUIC, facts);

	if (answer.unknown || answer.needs_app)
		return verdict_of(c, s);
	answer.proof = SG_APP_CERTAIN;
	tell_name(c, s, facts);
	if (s->look == SG_LOOK_REQUESTS && answer.pass && !answer.reason && answer.keys.rule == s->keys.rule &&
	    s->app == SG_APP_QUIC && s->proof == SG_APP_CERTAIN)
		return verdict_of(c, s);
	sg_flow_judge_anew(c, s, &answer);
	if (s->denied) {
		s->blocked = 1;
		sg_quic_end(&c->core->quics, s->slot, s->key.port_id);
	} else if (answer.by_facts) {
		s->look = SG_LOOK_REQUESTS;
	} else {
		stop_looking(c, s);
	}
	return verdict_of(c, s);
}

struct sg_verdict sg_judge_quic(const struct sg_context *c, struct sg_session *s)
{
	struct sg_facts facts = { 0 };
	struct sg_quic *quic;
	enum sg_quic_say said;

	if (c->p->dir != s->initiator)
		return judge_answer(c, s);
	quic = sg_quic_get(&c->core->quics, s->slot, s->key.port_id);
	said = read_frame(c, quic);
	if (said == SG_QUIC_NOTHING || said == SG_QUIC_OLD)
		return verdict_of(c, s);
	if (said == SG_QUIC_HIDES)
		hide(&facts);
	else
		sg_quic_facts(quic, &facts);
	return judge_facts(c, s, &facts);
}
