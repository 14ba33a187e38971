/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* AMQP: the client begins with its name and a version that exists. */
#include "apps_bus/sg_apps_bus.h"
#include "prefix/sg_reader.h"

/* Return whether four bytes after the name are a version of 0-8 to 1.0, with TLS and SASL of the last. */
static int is_version(__u32 version)
{
	switch (version) {
	case 0x01010800:
	case 0x01010008:
	case 0x01010009:
	case 0x0101000a:
	case 0x00000901:
	case 0x00010000:
	case 0x02010000:
	case 0x03010000:
		return 1;
	default:
		return 0;
	}
}

enum sg_match sg_app_amqp(const struct sg_prefix *prefix)
{
	struct sg_reader side = sg_reader(prefix, 0);

	sg_expect(&side, "AMQP", 4);
	sg_require(&side, is_version((__u32)sg_take(&side, 4)));
	return sg_read_as(&side, SG_MATCH_CERTAIN);
}
