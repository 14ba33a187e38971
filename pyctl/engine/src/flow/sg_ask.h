/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Finds a packet's flow key and initiator, and asks the port's policy about them. */
#ifndef SG_ASK_H
#define SG_ASK_H

#include "flow/sg_state.h"

int sg_flow_is_icmp(const struct sg_key *key);
/* Make the key of p's session. */
void sg_flow_key(const struct sg_packet *p, struct sg_key *key);
/* Make the key of the service that a flow of this key is for: every initiator's port (ICMP: every identifier). */
void sg_flow_service_key(struct sg_key *key, __u8 initiator);
/* Ask the port's policy, which must exist, about a flow that `initiator` opens. Of one whose application is not known
 * (SG_APP_NONE), needs_app may be in the answer. */
struct sg_answer sg_flow_ask_app(const struct sg_port *port, const struct sg_key *key, __u8 initiator, __u8 app);
/* Ask about a flow of this application and these facts, or NULL. While some are open, needs_app may be in the answer. */
struct sg_answer sg_flow_ask_facts(const struct sg_port *port, const struct sg_key *key, __u8 initiator, __u8 app,
				   const struct sg_facts *facts);
/* Ask about a flow at whose payload nobody looks: where a rule asks for its application, that is SG_APP_UNKNOWN. */
struct sg_answer sg_flow_ask(const struct sg_port *port, const struct sg_key *key, __u8 initiator);
/* Ask about a session again, by what is known of it: as long as it is looked at, all that its bytes tell; later the
 * application, and the condition that held when it was decided. Of others none holds that allows, and of those that deny the
 * ones that came into force later. */
struct sg_answer sg_flow_ask_again(const struct sg_core *core, const struct sg_port *port, const struct sg_session *s);
/* Ask about a flow whose initiator is a guess: if the rules allow only the other direction, *initiator becomes that one. */
struct sg_answer sg_flow_ask_either(const struct sg_port *port, const struct sg_key *key, __u8 *initiator);
/* Guess who initiated a TCP connection whose SYN was not seen; *sure: it is no guess. */
__u8 sg_flow_guess_initiator(const struct sg_core *core, const struct sg_port *port,
			  const struct sg_key *key, int *sure);
/* Keep the initiator of a session that expires, because its connection may continue. */
void sg_flow_remember_initiator(struct sg_core *core, const struct sg_session *s);

#endif
