/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The table of detectors in the first bytes of a connection; see the header. */
#include "payload/sg_payload_threats.h"

#include "api/sg_apps.h"

static const struct {
	__u8 app;		/* enum sg_app whose connections it reads; SG_APP_NONE: any, it knows them by their first bytes */
	int (*read)(const struct sg_prefix *prefix, __u64 *found);
} detectors[] = {
	{ SG_APP_NONE, sg_payload_tls },
	{ SG_APP_NONE, sg_payload_ssl2 },
	{ SG_APP_NONE, sg_payload_ssh },
	{ SG_APP_HTTP, sg_payload_http },
	{ SG_APP_ELASTICSEARCH, sg_payload_http },
	{ SG_APP_DNS, sg_payload_dns_stream },
};

__u64 sg_payload_threats(const struct sg_prefix *prefix, __u8 app, int *more)
{
	__u64 found = 0;

	*more = 0;
	for (__u32 i = 0; i < sizeof(detectors) / sizeof(detectors[0]); i++)
		if (!detectors[i].app || detectors[i].app == app)
			*more |= detectors[i].read(prefix, &found);
	return found;
}
