/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The fields of a request of HTTP/2, or of its trailers. Pure. */
#ifndef SG_HTTP2_HEAD_H
#define SG_HTTP2_HEAD_H

#include "http/sg_http_request.h"
#include "http2/sg_inflate.h"

/* What the fields so far say. */
struct sg_http2_head {
	struct sg_http_request *request;
	__u64 length;		/* with has_length */
	__u32 path_len;
	__u16 pseudo;		/* bits of pseudo fields */
	__u8 regular;		/* a field that is none was there */
	__u8 has_host;
	__u8 has_port;		/* in :authority */
	__u8 has_length;
	__u8 has_type;
	__u8 is_grpc;
	__u8 is_star;		/* :path is "*" */
	__u8 coded;		/* trailers may not have what is there */
};

/* Begin with no field. */
void sg_http2_head_begin(struct sg_http2_head *head, struct sg_http_request *request);
/* Take the next field; -1: it is none, or may be read differently. */
int sg_http2_head_add(struct sg_http2_head *head, const struct sg_inflate_field *field);
/* Complete the request; -1: its fields are none of one, or may be read differently. `ends`: it has no body. */
int sg_http2_head_end(struct sg_http2_head *head, int ends);
/* Return whether the fields may follow a body. */
int sg_http2_head_is_trailer(const struct sg_http2_head *head);

#endif
