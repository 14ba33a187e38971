/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The head of a request, and lines of headers. Pure. */
#ifndef SG_HTTP_HEAD_H
#define SG_HTTP_HEAD_H

#include "http/sg_http_slice.h"
#include "http/sg_http_request.h"

/* Return the length of the lines up to the empty one behind them, or 0: it is not there yet; -1: a line ends otherwise than
 * with CRLF, or there are too many bytes. *scanned: bytes that need not be looked at again. */
int sg_http_lines(const __u8 *bytes, __u32 len, __u32 *scanned);
/* Parse a head of this length; -1: it is none, or it may be read differently. */
int sg_http_head(const __u8 *bytes, __u32 len, struct sg_http_request *request);
/* Parse what is there of a head that is not complete. Returns 1: its first line is, and *request has what is said so far; 0: it
 * is not; -1: what is there is no head, or may be read differently. */
int sg_http_part(const __u8 *bytes, __u32 len, struct sg_http_request *request);
/* Return whether bytes of this length may end what is there of a head: of a line that is not complete. `is_begin`: they are all
 * that is there of it. */
int sg_http_tail(const __u8 *bytes, __u32 len, int is_begin);
/* Return whether lines of this length are headers that may follow a body. */
int sg_http_trailers(const __u8 *bytes, __u32 len);
/* Note a Content-Encoding, besides those before: enum sg_http_coding. */
void sg_http_note_coding(__u8 *coding, struct sg_http_slice value);
/* Note the host, or compare it with the one that is noted; *has_port: it has a port. -1: it is none, or another. */
int sg_http_set_host(struct sg_http_request *request, const __u8 *host, __u32 len, int is_first, int *has_port);
/* Return whether it is a method. Some servers take one whatever its letters' case, so one with small letters is none. */
int sg_http_is_method(const __u8 *method, __u32 len);

#endif
