/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Builds TCP resets from a packet, so that both stacks accept their sequence numbers as exact (RFC 5961), with the detour's
 * MACs, so that vbr delivers them. Both return the frame's length; 0: no reset. */
#ifndef SG_RESET_H
#define SG_RESET_H

#include "packet/sg_packet.h"

/* Reset p's sender; a RST gets no answer. */
__u32 sg_reset_sender(const struct sg_packet *p, __u8 *bytes);
/* Reset p's receiver in place of p. */
__u32 sg_reset_receiver(const struct sg_packet *p, __u8 *bytes);

#endif
