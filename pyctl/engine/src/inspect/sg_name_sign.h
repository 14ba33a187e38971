/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Whether a connection is one that shows a name: TLS or HTTP/1, also as a server may take it that is not strict. */
#ifndef SG_NAME_SIGN_H
#define SG_NAME_SIGN_H

#include "prefix/sg_prefix.h"

enum sg_name_sign {
	SG_NAME_NONE = 0,	/* what comes shows no name */
	SG_NAME_MAYBE,		/* too few bytes; no server acts on them */
	SG_NAME_LIKELY,		/* it is TLS or HTTP/1, or no server takes it for anything else */
};

/* Judge by the initiator's bytes; `server_first`: the other side has sent before it. More bytes of it never make NONE another
 * sign. */
enum sg_name_sign sg_name_sign(const struct sg_prefix *prefix, int server_first);

#endif
