/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* HTTP/2 as rules ask for it; see the header. In: sessions. Out: answers of the policy. */
#include "requests/sg_judge_http2.h"

#include <stdio.h>

#include "flow/sg_ask.h"
#include "http2/sg_inflate.h"

/* What its requests may be. */
static const __u8 apps[] = { SG_APP_HTTP2, SG_APP_GRPC, SG_APP_ETCD };
enum { APPS = sizeof(apps) };

int sg_judge_http2_is_asked(const struct sg_context *c, const struct sg_session *s)
{
	const struct sg_facts facts = { .open = SG_FIELDS_HTTP };

	for (int i = 0; i < APPS; i++)
		if (sg_flow_ask_facts(c->port, &s->key, s->initiator, apps[i], &facts).by_facts)
			return 1;
	return 0;
}

struct sg_answer sg_judge_http2_unread(const struct sg_context *c, const struct sg_session *s)
{
	const struct sg_facts facts = { .broken = SG_FIELDS_HTTP };
	struct sg_answer answer;
	int i = 0;

	/* It may be each of them: the first that does not pass counts. */
	do {
		answer = sg_flow_ask_facts(c->port, &s->key, s->initiator, apps[i], &facts);
	} while (++i < APPS && !answer.unknown && answer.pass && !answer.reason);
	answer.proof = SG_APP_CERTAIN;
	snprintf(c->core->report.text, sizeof(c->core->report.text), "HTTP/2 is not read without " SG_INFLATE_LIBRARY);
	return answer;
}
