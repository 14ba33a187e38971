/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Recognisers of what is encrypted, by what goes before that. */
#ifndef SG_APPS_CRYPT_H
#define SG_APPS_CRYPT_H

#include "prefix/sg_prefix.h"

enum sg_match sg_app_tls(const struct sg_prefix *prefix);
enum sg_match sg_app_dot(const struct sg_prefix *prefix);
enum sg_match sg_app_quic(const struct sg_prefix *prefix);
enum sg_match sg_app_ssh(const struct sg_prefix *prefix);

#endif
