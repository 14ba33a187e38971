/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Decodes bodies that are compressed, in pieces of any size, with bounds on memory, on work and on what comes out.
 *
 * No I/O; all memory of a stream lies in the arena that its caller gives, and is free again with it. What comes out is handed
 * on in small pieces, and nothing of it is kept but what the coding itself may repeat. */
#ifndef SG_UNZIP_H
#define SG_UNZIP_H

#include "segctl_abi.h"

/* As enum sg_http_coding. */
enum sg_unzip_coding {
	SG_UNZIP_GZIP = 1,	/* also several members, one behind the other */
	SG_UNZIP_DEFLATE,	/* with zlib's head, or without one as some servers send it */
	SG_UNZIP_BROTLI,
};

enum sg_unzip_limit {
	SG_UNZIP_PIECE = 4096,	/* bytes that are handed on at once, at most */
	/* A zlib of any version: its state, and a window of 32 KiB. */
	SG_UNZIP_ZLIB_ARENA = 64 << 10,
	/* Windows of up to 4 MiB beside the half as large one before, with the trees of usual streams; untouched pages of it cost
	 * nothing. The largest windows, of
	 * 16 MiB, are not decoded: a server that asks each client for so much is none for small bodies. */
	SG_UNZIP_BROTLI_ARENA = 8 << 20,
	/* What may come out ahead of the ratio: a small body may be all spaces, and a row of zeros is no bomb. */
	SG_UNZIP_BURST = 1 << 20,
	SG_UNZIP_AHEAD = 8 << 20,
};

enum sg_unzip_result {
	SG_UNZIP_MORE = 0,	/* all bytes were taken */
	SG_UNZIP_BROKEN,	/* they are not of this coding */
	SG_UNZIP_BOMB,	/* much more comes out than went in */
	SG_UNZIP_LONG,	/* more comes out in all than there may */
	SG_UNZIP_NO_ROOM,	/* it needs more memory than the arena has */
	SG_UNZIP_STOPPED,	/* by whoever reads */
};

struct sg_unzip_limits {
	__u64 total;		/* bytes that may come out */
	__u32 ratio;		/* bytes that may come out for each that goes in, on the whole */
};

struct sg_unzip;

/* Take what comes out. Not 0: no more is wanted. */
typedef int (*sg_unzip_reader)(void *ctx, const __u8 *bytes, __u32 len);

/* Load the libraries; return the codings that can be decoded, as bits 1 << enum sg_unzip_coding. */
__u32 sg_unzip_load(void);
/* Return the size of a stream's arena; 0: the coding cannot be decoded. */
__u32 sg_unzip_arena(__u8 coding);
/* Begin a stream in an arena of that size, which is the caller's to free. NULL: the coding cannot be decoded. */
struct sg_unzip *sg_unzip_begin(void *arena, __u32 size, __u8 coding, const struct sg_unzip_limits *limits);
/* Decode more bytes, and hand on what comes out. Any result but SG_UNZIP_MORE is the last, and is given again. What is behind
 * the end of the coded bytes is handed on as it is: some clients show it. */
enum sg_unzip_result sg_unzip_add(struct sg_unzip *stream, const __u8 *bytes, __u32 len, sg_unzip_reader reader,
				      void *ctx);
/* Return how much of the arena it has used so far, from its beginning on. */
__u32 sg_unzip_used(const struct sg_unzip *stream);
/* Return whether the coded bytes came to their end. */
int sg_unzip_is_whole(const struct sg_unzip *stream);

#endif
