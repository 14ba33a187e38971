/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A request of HTTP as it was read. */
#ifndef SG_HTTP_REQUEST_H
#define SG_HTTP_REQUEST_H

#include "api/sg_core.h"

enum sg_http_limit {
	SG_HTTP_HEAD_MAX = 65536,	/* of a request's head */
	SG_HTTP_PATH_MAX = 8192,
	SG_HTTP_METHOD_MAX = 32,
	SG_HTTP_HOST_MAX = 255,
	SG_HTTP_READINGS = 3,		/* of a path */
};

/* What the client asks the connection to become, if the server agrees. */
enum sg_http_switch {
	SG_HTTP_STAYS = 0,
	SG_HTTP_WEBSOCKET,	/* by Upgrade, and nothing else is offered */
	SG_HTTP_TUNNEL,		/* by CONNECT */
	SG_HTTP_HTTP2,		/* by Upgrade, and nothing else is offered */
	SG_HTTP_OTHER,		/* by Upgrade */
};

/* How a body is coded (Content-Encoding). */
enum sg_http_coding {
	SG_HTTP_PLAIN = 0,
	SG_HTTP_GZIP,
	SG_HTTP_DEFLATE,
	SG_HTTP_BROTLI,
	SG_HTTP_CODED,		/* otherwise, or more than once */
};

struct sg_http_text {
	const char *at;		/* not terminated */
	__u32 len;
};

/* One request. What is pointed at lies in the bytes that were read, or in `room`. */
struct sg_http_request {
	struct sg_http_text method;
	struct sg_http_text host;	/* lower case, without port and trailing dot; none: ""; IPv6 in brackets */
	struct sg_http_text paths[SG_HTTP_READINGS];	/* without query; [0] as it is shown */
	__u64 body;			/* bytes behind the head, with !chunked */
	__u8 readings;			/* of the path, those that differ; 0: the request has none (CONNECT, OPTIONS *) */
	__u8 chunked;
	__u8 is_part;			/* its head is not complete: method and path are what they will be */
	__u8 has_host;			/* the host is, too */
	__u8 becomes;			/* enum sg_http_switch */
	__u8 coding;			/* enum sg_http_coding, of the body */
	__u8 is_form;			/* the body has fields, encoded as a query has */
	__u8 app;			/* enum sg_app */
	char method_room[SG_HTTP_METHOD_MAX];	/* of HTTP/2 */
	char path_room[SG_HTTP_PATH_MAX];
	char host_room[SG_HTTP_HOST_MAX + 1];
	char room[SG_HTTP_READINGS][SG_HTTP_PATH_MAX];
};

#endif
