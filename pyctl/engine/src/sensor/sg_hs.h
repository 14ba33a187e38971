/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Vectorscan's functions, of the library that is loaded when the first sensors come: an engine without sensors does not need
 * it. Declared here by hand, as the ABI of libhs.so.5 has them, so that building needs no header of it. */
#ifndef SG_HS_H
#define SG_HS_H

#include <stddef.h>

enum sg_hs_result { SG_HS_OK = 0, SG_HS_TERMINATED = -3 };

/* Called for each match; what it returns, if not 0, ends the scan. */
typedef int (*sg_hs_matched)(unsigned int id, unsigned long long from, unsigned long long to, unsigned int flags, void *ctx);

struct sg_hs {
	int (*deserialize)(const char *bytes, size_t length, void **database);
	int (*free_database)(void *database);
	int (*alloc_scratch)(const void *database, void **scratch);
	int (*free_scratch)(void *scratch);
	int (*stream_size)(const void *database, size_t *bytes);
	int (*open)(const void *database, unsigned int flags, void **stream);
	int (*scan)(void *stream, const char *data, unsigned int length, unsigned int flags, void *scratch,
		    sg_hs_matched matched, void *ctx);
	int (*reset)(void *stream, unsigned int flags, void *scratch, sg_hs_matched matched, void *ctx);
	int (*close)(void *stream, void *scratch, sg_hs_matched matched, void *ctx);
};

/* Return the functions; NULL: the library, or one of them, is not there. */
const struct sg_hs *sg_hs_load(void);

#endif
