/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Small MSS: a SYN asks for segments of less than 256 bytes, which cost its peer a packet for each few bytes. */
#include "packet/sg_tcp_options.h"
#include "threat/sg_threat.h"

enum { LEAST = 256 };

int sg_threat_small_mss(const struct sg_sight *sight)
{
	const struct sg_packet *p = sight->p;
	__u16 mss;

	return sg_tcp_mss(p->frame->data + p->l4, p->l4_len, &mss) && mss < LEAST;
}
