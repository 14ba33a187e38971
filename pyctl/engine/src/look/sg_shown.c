/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Keeps what flows show; see the header. In: texts. Out: texts, facts. No I/O. */
#include "look/sg_shown.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ALLOCATION = 16 };	/* what the allocator takes for each */

int sg_shown_init(struct sg_shown *shown, __u32 sessions)
{
	shown->of = calloc(sessions + 1UL, sizeof(*shown->of));
	shown->of_port = calloc(SEG_PORT_IDS, sizeof(*shown->of_port));
	return shown->of && shown->of_port ? 0 : -ENOMEM;
}

void sg_shown_free(struct sg_shown *shown)
{
	free(shown->of);
	free(shown->of_port);
}

static void charge(struct sg_shown *shown, __u16 port_id, __s64 bytes)
{
	shown->bytes += (__u64)bytes;
	shown->of_port[port_id] += (__u64)bytes;
}

void sg_shown_end(struct sg_shown *shown, const struct sg_session *s)
{
	char *text = shown->of[s->slot];

	if (!text)
		return;
	charge(shown, s->key.port_id, -(__s64)(strlen(text) + 1 + ALLOCATION));
	free(text);
	shown->of[s->slot] = NULL;
}

void sg_shown_set(struct sg_shown *shown, const struct sg_session *s, const char *text, __u32 len)
{
	char *before = shown->of[s->slot], *made;

	if (before && strlen(before) == len && !memcmp(before, text, len))
		return;
	sg_shown_end(shown, s);
	if (shown->bytes + shown->of_port[s->key.port_id] + 2ULL * (len + 1 + ALLOCATION) > SG_SHOWN_BYTES)
		return;
	made = malloc(len + 1UL);
	if (!made)
		return;
	memcpy(made, text, len);
	made[len] = 0;
	shown->of[s->slot] = made;
	charge(shown, s->key.port_id, len + 1 + ALLOCATION);
}

void sg_shown_copy(const struct sg_shown *shown, const struct sg_session *s, char text[SG_EVENT_TEXT])
{
	const char *known = shown->of[s->slot];
	size_t len = known ? strnlen(known, SG_EVENT_TEXT - 1) : 0;

	if (len)
		memcpy(text, known, len);
	text[len] = 0;
}

void sg_shown_facts(const struct sg_shown *shown, const struct sg_session *s, struct sg_facts *facts)
{
	const char *known = shown->of[s->slot];
	size_t len = known ? strlen(known) : 0;

	if (!known || len > SG_NAME_MAX || (s->app != SG_APP_TLS && s->app != SG_APP_DOT && s->app != SG_APP_QUIC))
		return;
	facts->known |= 1U << SG_FIELD_NAME | 1U << SG_FIELD_SNI;
	facts->sni_len = (__u8)len;
	memcpy(facts->sni, known, len);
}
