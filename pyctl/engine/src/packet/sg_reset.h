/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* TCP resets made by the engine: built from the packet at hand, so that both stacks take them as
 * exact (RFC 5961), with the detour's MACs, so that vbr delivers them. Both give the frame's length; 0: there is
 * none. */
#ifndef SG_RESET_H
#define SG_RESET_H

#include "packet/sg_decode.h"

/* To whoever sent p; a RST is never answered. */
__u32 sg_reset_sender(const struct sg_packet *p, __u8 *bytes);
/* To whom p was going, in p's place. */
__u32 sg_reset_receiver(const struct sg_packet *p, __u8 *bytes);

#endif
