/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* SMTP: a greeting that names it, or any with EHLO after it, is proof. Pure. */
#include "apps_mail/sg_apps_mail.h"
#include "apps_mail/sg_greeting.h"

enum sg_match sg_app_smtp(const struct sg_prefix *prefix)
{
	return sg_greeting_220(prefix, "SMTP", "FTP", "EHLO HELO LHLO", "QUIT NOOP HELP RSET");
}
