/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Asks the detectors of packets that a port's settings name. */
#ifndef SG_DETECT_H
#define SG_DETECT_H

#include "threat/sg_threat.h"

/* Return which of these threats the packet is. */
__u64 sg_detect(const struct sg_sight *sight, __u64 on);
/* Return which of these threats a flow is that a program opened, of which nobody saw the packet. */
__u64 sg_detect_opened(const struct sg_sight *sight, __u64 on);

#endif
