/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* TCP options; see the header. In: a TCP header. Out: an option's value. */
#include "packet/sg_tcp_options.h"

#include "base/sg_bytes.h"
#include "packet/sg_packet.h"

enum { OPTION_END = 0, OPTION_NOP = 1, OPTION_MSS = 2, MSS_LEN = 4, OPTION_TIMESTAMP = 8, TIMESTAMP_LEN = 10 };

/* Return the value of the option of this kind and length; NULL: there is none. */
static const __u8 *find(const __u8 *tcp, __u32 len, __u8 kind, __u32 wanted)
{
	__u32 i = SG_TCP_LEN, header = (tcp[12] >> 4) * 4U, end = header < len ? header : len, length;
	const __u8 *found = NULL;

	while (i < end && tcp[i] != OPTION_END) {
		if (tcp[i] == OPTION_NOP) {
			i++;
			continue;
		}
		length = i + 1 < end ? tcp[i + 1] : 0;
		if (length < 2 || length > end - i)
			break;
		if (tcp[i] == kind && length == wanted)
			found = tcp + i + 2;
		i += length;
	}
	return found;
}

int sg_tcp_timestamp(const __u8 *tcp, __u32 len, __u32 *value)
{
	const __u8 *at = find(tcp, len, OPTION_TIMESTAMP, TIMESTAMP_LEN);

	if (at)
		*value = sg_get32(at);
	return at != NULL;
}

int sg_tcp_echo(const __u8 *tcp, __u32 len, __u32 *echo)
{
	const __u8 *at = find(tcp, len, OPTION_TIMESTAMP, TIMESTAMP_LEN);

	if (at)
		*echo = sg_get32(at + 4);
	return at != NULL;
}

int sg_tcp_mss(const __u8 *tcp, __u32 len, __u16 *mss)
{
	const __u8 *at = find(tcp, len, OPTION_MSS, MSS_LEN);

	if (at)
		*mss = sg_get16(at);
	return at != NULL;
}
