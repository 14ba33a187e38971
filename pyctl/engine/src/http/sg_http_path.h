/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A path as servers may read it. Pure. */
#ifndef SG_HTTP_PATH_H
#define SG_HTTP_PATH_H

#include "http/sg_http_request.h"

/* Fill in the readings that differ of a path, which begins with a slash and has no query: with dot segments resolved; with
 * them in place; and with all decoded that is encoded, even twice, backslashes as slashes, and parameters of segments left
 * out. In each of them several slashes are one, and what needs no encoding has none. -1: it is too long, or no path. */
int sg_http_path(const __u8 *path, __u32 len, struct sg_http_request *request);

#endif
