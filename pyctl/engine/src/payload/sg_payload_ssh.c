/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* SSH: a side that speaks version 1 alone. One of version 1.99 speaks 2 as well (RFC 4253). In: first bytes. Out: threats. */
#include <string.h>

#include "api/sg_threats.h"
#include "payload/sg_payload_protocols.h"

enum { NEEDED = 8 };		/* SSH-1.99 */

int sg_payload_ssh(const struct sg_prefix *prefix, __u64 *found)
{
	static const char both[] = "SSH-1.99", old[] = "SSH-1.";
	int more = 0;

	for (int side = 0; side < 2; side++) {
		const __u8 *at = prefix->data[side];
		__u32 len = prefix->len[side], begin = len < sizeof(old) - 1 ? len : sizeof(old) - 1;

		if (len && memcmp(at, old, begin))
			continue;
		if (len < NEEDED)
			more = 1;
		else if (memcmp(at, both, NEEDED))
			*found |= 1ULL << SG_THREAT_SSH_V1;
	}
	return more;
}
