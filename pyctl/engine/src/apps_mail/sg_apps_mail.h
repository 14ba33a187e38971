/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Recognisers of protocols in lines whose server speaks first. */
#ifndef SG_APPS_MAIL_H
#define SG_APPS_MAIL_H

#include "prefix/sg_prefix.h"

enum sg_match sg_app_smtp(const struct sg_prefix *prefix);
enum sg_match sg_app_imap(const struct sg_prefix *prefix);
enum sg_match sg_app_pop3(const struct sg_prefix *prefix);
enum sg_match sg_app_ftp(const struct sg_prefix *prefix);

#endif
