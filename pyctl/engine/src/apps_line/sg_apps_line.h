/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Recognisers of stores and buses that speak in lines. */
#ifndef SG_APPS_LINE_H
#define SG_APPS_LINE_H

#include "prefix/sg_prefix.h"

enum sg_match sg_app_redis(const struct sg_prefix *prefix);
enum sg_match sg_app_memcached(const struct sg_prefix *prefix);
enum sg_match sg_app_nats(const struct sg_prefix *prefix);

#endif
