/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* TCP resets made by the engine: built from the packet at hand, so that both stacks take them as
 * exact (RFC 5961), and sent with the detour's MACs, so that vbr delivers them. */
#ifndef SG_RESET_H
#define SG_RESET_H

#include "flow/sg_core_internal.h"

/* To whoever sent p; a RST is never answered. */
void sg_reset_sender(struct sg_core *core, struct sg_port *port, const struct sg_packet *p);
/* To whom p was going, in p's place. */
void sg_reset_receiver(struct sg_core *core, struct sg_port *port, const struct sg_packet *p);

#endif
