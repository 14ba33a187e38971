/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Decodes bodies that are compressed, in pieces of any size, with bounds on memory, on work and on what comes out.
 *
 * No I/O; all memory of a stream lies in the arena that its caller gives, and is free again with it. What comes out is handed
 * on in small pieces, and nothing of it is kept but what the coding itself may repeat. */
#ifndef SG_INFLATE_H
#define SG_INFLATE_H

#include "segctl_abi.h"

/* As enum sg_http_coding. */
enum sg_inflate_coding {
	SG_INFLATE_GZIP = 1,	/* also several members, one behind the other */
	SG_INFLATE_DEFLATE,	/* with zlib's head, or without one as some servers send it */
	SG_INFLATE_BROTLI,
};

enum sg_inflate_limit {
	SG_INFLATE_PIECE = 4096,	/* bytes that are handed on at once, at most */
	/* A zlib of any version: its state, and a window of 32 KiB. */
	SG_INFLATE_ZLIB_ARENA = 64 << 10,
	/* Windows of up to 4 MiB beside the half as large one before, with the trees of usual streams; untouched pages of it cost
	 * nothing. The largest windows, of
	 * 16 MiB, are not decoded: a server that asks each client for so much is none for small bodies. */
	SG_INFLATE_BROTLI_ARENA = 8 << 20,
	/* What may come out ahead of the ratio: a small body may be all spaces, and a row of zeros is no bomb. */
	SG_INFLATE_BURST = 1 << 20,
	SG_INFLATE_AHEAD = 8 << 20,
};

enum sg_inflate_result {
	SG_INFLATE_MORE = 0,	/* all bytes were taken */
	SG_INFLATE_BROKEN,	/* they are not of this coding */
	SG_INFLATE_BOMB,	/* much more comes out than went in */
	SG_INFLATE_LONG,	/* more comes out in all than there may */
	SG_INFLATE_NO_ROOM,	/* it needs more memory than the arena has */
	SG_INFLATE_STOPPED,	/* by whoever reads */
};

struct sg_inflate_limits {
	__u64 total;		/* bytes that may come out */
	__u32 ratio;		/* bytes that may come out for each that goes in, on the whole */
};

struct sg_inflate;

/* Take what comes out. Not 0: no more is wanted. */
typedef int (*sg_inflate_reader)(void *ctx, const __u8 *bytes, __u32 len);

/* Load the libraries; return the codings that can be decoded, as bits 1 << enum sg_inflate_coding. */
__u32 sg_inflate_load(void);
/* Return the size of a stream's arena; 0: the coding cannot be decoded. */
__u32 sg_inflate_arena(__u8 coding);
/* Begin a stream in an arena of that size, which is the caller's to free. NULL: the coding cannot be decoded. */
struct sg_inflate *sg_inflate_begin(void *arena, __u32 size, __u8 coding, const struct sg_inflate_limits *limits);
/* Decode more bytes, and hand on what comes out. Any result but SG_INFLATE_MORE is the last, and is given again. What is behind
 * the end of the coded bytes is handed on as it is: some clients show it. */
enum sg_inflate_result sg_inflate_add(struct sg_inflate *stream, const __u8 *bytes, __u32 len, sg_inflate_reader reader,
				      void *ctx);
/* Return how much of the arena it has used so far, from its beginning on. */
__u32 sg_inflate_used(const struct sg_inflate *stream);
/* Return whether the coded bytes came to their end. */
int sg_inflate_is_whole(const struct sg_inflate *stream);

#endif
