/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Answers of a server; see the header. In: bytes. Out: a status. Pure. */
#include "answer/sg_http_status.h"

#include <string.h>

#include "http/sg_http_head.h"

enum { LINE = 13, SWITCHES = 101 };	/* bytes of a line up to its reason */

/* Return the three digits of a status line; -1: it is none. */
static int read_line(const __u8 *line)
{
	int status = 0;

	if (memcmp(line, "HTTP/1.", 7) || line[8] != ' ')
		return -1;
	for (int i = 9; i < 12; i++) {
		if (line[i] < '0' || line[i] > '9')
			return -1;
		status = 10 * status + (line[i] - '0');
	}
	return line[12] == ' ' || line[12] == '\r' ? status : -1;
}

int sg_http_status(const __u8 *bytes, __u32 len)
{
	while (len >= LINE) {
		int status = read_line(bytes), lines;
		__u32 scanned = 0;

		if (status < 100 || status >= 200 || status == SWITCHES)
			return status < 100 ? -1 : status;
		lines = sg_http_lines(bytes, len, &scanned);
		if (lines <= 0)
			return lines;
		bytes += lines;
		len -= (__u32)lines;
	}
	return 0;
}
