/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* FTP: a greeting that names it, or any with a command that SMTP has not after it, is proof. Pure. */
#include "apps_mail/sg_apps_mail.h"
#include "apps_mail/sg_greeting.h"
#include "prefix/sg_text.h"

static const char *const commands[] = {
	"USER", "AUTH", "FEAT", "SYST", "OPTS", "HOST", "CLNT", "LANG", "PBSZ", "PROT", "PASV", "EPSV", NULL
};
static const char *const shared[] = { "QUIT", "NOOP", "HELP", NULL };

enum sg_match sg_app_ftp(const struct sg_prefix *prefix)
{
	return sg_greeting_220(prefix, "FTP", "SMTP", commands, shared);
}
