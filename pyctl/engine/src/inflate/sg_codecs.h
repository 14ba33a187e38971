/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The functions of zlib and brotli, of libraries that are loaded when the first sensors for bodies come: an engine without
 * them needs neither. Declared here by hand, as the ABIs of libz.so.1 and libbrotlidec.so.1 have them, so that building needs
 * no headers of theirs. */
#ifndef SG_CODECS_H
#define SG_CODECS_H

#include "segctl_abi.h"
#include <stddef.h>

enum sg_zlib_result { SG_Z_OK = 0, SG_Z_STREAM_END = 1, SG_Z_MEM_ERROR = -4, SG_Z_BUF_ERROR = -5 };
enum sg_brotli_result { SG_BR_ERROR = 0, SG_BR_SUCCESS = 1, SG_BR_MORE_INPUT = 2, SG_BR_MORE_OUTPUT = 3 };

/* struct z_stream_s */
struct sg_zlib_stream {
	const __u8 *next_in;
	unsigned int avail_in;
	unsigned long total_in;
	__u8 *next_out;
	unsigned int avail_out;
	unsigned long total_out;
	const char *message;
	void *state;
	void *(*alloc)(void *opaque, unsigned int items, unsigned int size);
	void (*free)(void *opaque, void *piece);
	void *opaque;
	int data_type;
	unsigned long adler;
	unsigned long reserved;
};

struct sg_zlib {
	const char *(*version)(void);
	int (*init)(struct sg_zlib_stream *stream, int window_bits, const char *version, int size);
	int (*inflate)(struct sg_zlib_stream *stream, int flush);
	int (*reset)(struct sg_zlib_stream *stream);
};

struct sg_brotli {
	void *(*create)(void *(*alloc)(void *opaque, size_t size), void (*free)(void *opaque, void *piece), void *opaque);
	int (*decompress)(void *state, size_t *avail_in, const __u8 **next_in, size_t *avail_out, __u8 **next_out,
			  size_t *total_out);
	const __u8 *(*take_output)(void *state, size_t *size);
};

/* Load what is there of both. Any thread may call it, before streams begin. */
void sg_codecs_load(void);
/* Return the functions; NULL: the library is not there, or not loaded. */
const struct sg_zlib *sg_codecs_zlib(void);
const struct sg_brotli *sg_codecs_brotli(void);

#endif
