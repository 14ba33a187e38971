/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* SMTP: a greeting that names it, or any with EHLO after it, is proof. Pure. */
#include "apps_mail/sg_apps_mail.h"
#include "apps_mail/sg_greeting.h"
#include "prefix/sg_text.h"

static const char *const commands[] = { "EHLO", "HELO", "LHLO", NULL };
static const char *const shared[] = { "QUIT", "NOOP", "HELP", "RSET", NULL };

enum sg_match sg_app_smtp(const struct sg_prefix *prefix)
{
	return sg_greeting_220(prefix, "SMTP", "FTP", commands, shared);
}
