/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* TLS: the version and the cipher that the server chooses, and a heartbeat request that asks for more than it brings. Records
 * are read until they are encrypted. In: first bytes. Out: threats. */
#include "base/sg_bytes.h"
#include "api/sg_threats.h"
#include "payload/sg_payload_protocols.h"

enum {
	RECORD = 5, CHANGE_CIPHER = 20, ALERT = 21, HANDSHAKE = 22, DATA = 23, HEARTBEAT = 24,
	SERVER_HELLO = 2, HELLO_VERSION = 4, HELLO_SESSION = 38,	/* offsets in a ServerHello, from its type on */
	REQUEST = 1, REQUEST_HEAD = 3,
	SSL3 = 0x0300, TLS10 = 0x0301, TLS11 = 0x0302,
};

/* Ciphers without authentication or encryption, of exported strength, and RC2, RC4, DES, 3DES and IDEA; from, to. */
static const __u16 weak[][2] = {
	{ 0x0000, 0x002e }, { 0x0034, 0x0034 }, { 0x003a, 0x003b }, { 0x0046, 0x0046 }, { 0x0060, 0x0066 },
	{ 0x006c, 0x006d }, { 0x0089, 0x008b }, { 0x008e, 0x008f }, { 0x0092, 0x0093 }, { 0x009b, 0x009b },
	{ 0x00a6, 0x00a7 }, { 0x00b0, 0x00b1 }, { 0x00b4, 0x00b5 }, { 0x00b8, 0x00b9 }, { 0x00bf, 0x00bf },
	{ 0x00c5, 0x00c5 }, { 0xc001, 0xc003 }, { 0xc006, 0xc008 }, { 0xc00b, 0xc00d }, { 0xc010, 0xc012 },
	{ 0xc015, 0xc01c }, { 0xc033, 0xc034 }, { 0xc039, 0xc03b },
};

static int is_weak(__u16 cipher)
{
	for (__u32 i = 0; i < sizeof(weak) / sizeof(weak[0]); i++)
		if (cipher >= weak[i][0] && cipher <= weak[i][1])
			return 1;
	return 0;
}

/* Read the ServerHello that a record begins with; one that is cut by its record's end is not read. */
static __u64 read_hello(const __u8 *at, __u32 len)
{
	__u64 found = 0;
	__u32 cipher;

	if (len <= HELLO_SESSION || at[0] != SERVER_HELLO)
		return 0;
	cipher = HELLO_SESSION + 1U + at[HELLO_SESSION];
	if (cipher + 2 > len)
		return 0;
	switch (sg_get16(at + HELLO_VERSION)) {
	case SSL3:
		found = 1ULL << SG_THREAT_SSL;
		break;
	case TLS10:
		found = 1ULL << SG_THREAT_TLS_1_0;
		break;
	case TLS11:
		found = 1ULL << SG_THREAT_TLS_1_1;
		break;
	default:
		break;
	}
	return is_weak(sg_get16(at + cipher)) ? found | 1ULL << SG_THREAT_TLS_WEAK_CIPHER : found;
}

static int over_asks(const __u8 *at, __u32 here, __u32 length)
{
	return here >= REQUEST_HEAD && at[0] == REQUEST && sg_get16(at + 1) + (__u32)REQUEST_HEAD > length;
}

/* Read one side's records. Returns whether more of them may come in the clear. */
static int read_side(const __u8 *at, __u32 len, int is_server, __u64 *found)
{
	__u32 pos = 0;
	int first = 1;

	for (; len - pos >= RECORD; first = 0) {
		__u32 length = sg_get16(at + pos + 3), here = len - pos - RECORD;
		const __u8 *body = at + pos + RECORD;

		if (at[pos] < CHANGE_CIPHER || at[pos] > HEARTBEAT || at[pos + 1] != 3 || at[pos] == CHANGE_CIPHER ||
		    at[pos] == DATA)
			return 0;
		if (at[pos] == HEARTBEAT && over_asks(body, here, length))
			*found |= 1ULL << SG_THREAT_HEARTBLEED;
		if (here < length)
			break;
		if (is_server && first && at[pos] == HANDSHAKE)
			*found |= read_hello(body, length);
		pos += RECORD + length;
	}
	return 1;
}

int sg_payload_tls(const struct sg_prefix *prefix, __u64 *found)
{
	__u64 seen = 0;
	int more = 0;

	/* The client begins. */
	if (!prefix->len[0] || prefix->data[0][0] != HANDSHAKE)
		return !prefix->len[0];
	for (int side = 0; side < 2; side++)
		more |= read_side(prefix->data[side], prefix->len[side], side, &seen);
	*found |= seen;
	return more;
}
