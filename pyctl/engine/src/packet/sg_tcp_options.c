/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* TCP options; see the header. In: a TCP header. Out: an option's value. */
#include "packet/sg_tcp_options.h"

#include "base/sg_bytes.h"
#include "packet/sg_packet.h"

enum { OPTION_END = 0, OPTION_NOP = 1, OPTION_TIMESTAMP = 8, TIMESTAMP_LEN = 10 };

int sg_tcp_timestamp(const __u8 *tcp, __u32 len, __u32 *value)
{
	__u32 i = SG_TCP_LEN, header = (tcp[12] >> 4) * 4U, end = header < len ? header : len, length;
	int found = 0;

	while (i < end && tcp[i] != OPTION_END) {
		if (tcp[i] == OPTION_NOP) {
			i++;
			continue;
		}
		length = i + 1 < end ? tcp[i + 1] : 0;
		if (length < 2 || length > end - i)
			break;
		if (tcp[i] == OPTION_TIMESTAMP && length == TIMESTAMP_LEN) {
			*value = sg_get32(tcp + i + 2);
			found = 1;
		}
		i += length;
	}
	return found;
}
