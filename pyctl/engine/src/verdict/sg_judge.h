/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The verdict on one packet (or one whole datagram): sessions first, then the policy. */
#ifndef SG_JUDGE_H
#define SG_JUDGE_H

#include "flow/sg_core_internal.h"

/* p is decoded and no fragment; the port has a policy other than quarantine. */
struct sg_ruling sg_judge(struct sg_core *core, struct sg_port *port, const struct sg_packet *p,
			  __u64 now_ns);
/* sg_judge_tcp.c */
struct sg_ruling sg_judge_tcp(struct sg_core *core, struct sg_port *port,
			      const struct sg_packet *p, __u64 now_ns);

#endif
