/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A SYN with data. TCP Fast Open is one, with a cookie. */
#include "threat/sg_threat.h"

int sg_threat_syn_data(const struct sg_sight *sight)
{
	return sight->p->payload_len != 0;
}
