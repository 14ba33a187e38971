/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Recognises databases by their first bytes. */
#ifndef SG_APPS_DATA_H
#define SG_APPS_DATA_H

#include "prefix/sg_prefix.h"

enum sg_match sg_app_postgresql(const struct sg_prefix *prefix);
enum sg_match sg_app_mysql(const struct sg_prefix *prefix);
enum sg_match sg_app_tds(const struct sg_prefix *prefix);
enum sg_match sg_app_tns(const struct sg_prefix *prefix);
enum sg_match sg_app_mongodb(const struct sg_prefix *prefix);
enum sg_match sg_app_cassandra(const struct sg_prefix *prefix);
enum sg_match sg_app_couchbase(const struct sg_prefix *prefix);

#endif
