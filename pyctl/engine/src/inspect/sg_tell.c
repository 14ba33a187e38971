/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Asks whoever reads the application's first bytes; see the header. In: the first bytes of both sides. Out: facts. Pure. */
#include "inspect/sg_tell.h"

#include "apps_crypt/sg_tls_facts.h"
#include "prefix/sg_proxy.h"

void sg_tell(const struct sg_prefix *whole, __u8 app, struct sg_facts *facts)
{
	struct sg_prefix prefix = *whole;
	__u32 skipped = sg_proxy_length(whole);

	if (skipped) {
		prefix.data[0] += skipped;
		prefix.len[0] -= skipped;
	}
	switch (app) {
	case SG_APP_TLS:
	case SG_APP_DOT:
		sg_tls_facts(&prefix, facts);
		break;
	default:
		facts->any_name = !sg_facts_shows_name(app);
		break;
	}
}
