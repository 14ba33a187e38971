/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The first line of HTTP, RTSP and SIP: METHOD TARGET VERSION of a request, VERSION STATUS of an answer. */
#ifndef SG_REQUEST_LINE_H
#define SG_REQUEST_LINE_H

#include "prefix/sg_prefix.h"

/* Say whether a side begins with a request: one space between its parts, CRLF behind them. *length: of the whole line.
 * `version` is what is there but for the last digit. */
enum sg_match sg_request_line(const __u8 *at, __u32 len, const char *version, __u32 *length);
/* Say whether a side begins with an answer's version and three digits. */
enum sg_match sg_status_line(const __u8 *at, __u32 len, const char *version);

#endif
