/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What flows show of whom they are for: the name in their handshake, or their last request. Kept for who looks at them, and for
 * a later policy; an engine that takes over does not know it. */
#ifndef SG_SHOWN_H
#define SG_SHOWN_H

#include "condition/sg_facts.h"
#include "session/sg_session.h"

enum sg_shown_limit {
	SG_SHOWN_BYTES = 16 << 20,	/* of texts in all; a port may have as much as is then free */
};

struct sg_shown {
	char **of;		/* by slot: METHOD HOST/PATH, or a name as sg_name_read() writes it; "": none; NULL: not known */
	__u64 *of_port;
	__u64 bytes;
};

/* 0 or -ENOMEM. `sessions` is the highest slot. */
int sg_shown_init(struct sg_shown *shown, __u32 sessions);
void sg_shown_free(struct sg_shown *shown);
/* Keep the text in place of the former one; without room, none. */
void sg_shown_set(struct sg_shown *shown, const struct sg_session *s, const char *text, __u32 len);
void sg_shown_end(struct sg_shown *shown, const struct sg_session *s);
/* Write what is known of it, as much as has room. */
void sg_shown_copy(const struct sg_shown *shown, const struct sg_session *s, char text[SG_EVENT_TEXT]);
/* Let facts have the name, if one is known of a flow with a handshake. */
void sg_shown_facts(const struct sg_shown *shown, const struct sg_session *s, struct sg_facts *facts);

#endif
