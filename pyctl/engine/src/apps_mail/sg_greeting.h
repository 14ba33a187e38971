/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The greeting that a server sends first, and the client's command after it. */
#ifndef SG_GREETING_H
#define SG_GREETING_H

#include "prefix/sg_prefix.h"

/* Say whether a side begins with a whole line that begins so, and ends in CRLF; *line: its length. */
enum sg_match sg_greeting_line(const __u8 *at, __u32 len, const char *begins, __u32 *line);
/* Recognise SMTP or FTP, whose greetings begin alike, by what either names in it, or by the client's first command.
 * `commands` are those that the other has not, `shared` those
 * that say nothing; NULL ends them. */
enum sg_match sg_greeting_220(const struct sg_prefix *prefix, const char *name, const char *other,
			      const char *const *commands, const char *const *shared);

#endif
