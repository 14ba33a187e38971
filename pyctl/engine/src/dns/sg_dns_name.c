/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Names in messages; see the header. In: bytes. Out: names. */
#include "dns/sg_dns_name.h"

#include "base/sg_bytes.h"

enum { LABEL_MOST = 63, POINTER = 0xc0 };

enum sg_dns_walk sg_dns_walk_name(const __u8 *message, __u32 length, __u32 *at, __u8 *name, __u32 *made)
{
	__u32 place = *at, behind = 0, before = place, hops = 0;

	*made = 0;
	while (place < length) {
		__u32 label = message[place];

		if (label >= POINTER) {
			if (place + 2 > length)
				return SG_DNS_BROKEN;
			behind = behind ? behind : place + 2;
			place = sg_get16(message + place) & 0x3fff;
			if (place >= before || ++hops > SG_DNS_HOPS)
				return SG_DNS_LOOPS;
			before = place;
			continue;
		}
		if (label > LABEL_MOST || *made + 1 + label > SG_DNS_NAME || label >= length - place)
			return SG_DNS_BROKEN;
		memcpy(name + *made, message + place, 1 + label);
		*made += 1 + label;
		place += 1 + label;
		if (!label) {
			*at = behind ? behind : place;
			return SG_DNS_WHOLE;
		}
	}
	return SG_DNS_BROKEN;
}

__u32 sg_dns_read_name(const __u8 *message, __u32 length, __u32 *at, __u8 *name)
{
	__u32 made;

	return sg_dns_walk_name(message, length, at, name, &made) == SG_DNS_WHOLE ? made : 0;
}

int sg_dns_skip_name(const __u8 *message, __u32 length, __u32 *at)
{
	while (*at < length) {
		__u32 label = message[*at];

		if (label >= POINTER) {
			*at += 2;
			return *at <= length ? 0 : -1;
		}
		if (label > LABEL_MOST)
			return -1;
		*at += 1 + label;
		if (!label)
			return 0;
	}
	return -1;
}

static char letter(__u8 c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c + 'a' - 'A');
	return c <= ' ' || c >= 0x7f || c == '.' || c == '\\' ? '?' : (char)c;
}

void sg_dns_name_text(const __u8 *name, char *text)
{
	for (__u32 label = *name; label; label = *name) {
		for (__u32 i = 1; i <= label; i++)
			*text++ = letter(name[i]);
		name += 1 + label;
		if (*name)
			*text++ = '.';
	}
	*text = 0;
}
