/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The server's answer to a connection's first request. Pure. */
#ifndef SG_HTTP_STATUS_H
#define SG_HTTP_STATUS_H

#include "api/sg_core.h"

/* Return the status of the first answer that is no interim one, or 101, of a server that sent these bytes so far; 0: it is
 * not there yet; -1: they are no answer. */
int sg_http_status(const __u8 *bytes, __u32 len);

#endif
