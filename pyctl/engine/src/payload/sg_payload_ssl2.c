/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* SSLv2: a hello of one side in its form and version, and one whose ciphers are longer than itself. A hello in this form that
 * offers TLS is what old clients send, and no threat. In: first bytes. Out: threats. */
#include "base/sg_bytes.h"
#include "api/sg_threats.h"
#include "payload/sg_payload_protocols.h"

enum {
	LONG = 0x80, CLIENT_HELLO = 1, SERVER_HELLO = 4, HEAD = 11,	/* up to the ciphers, with the length */
	VERSION2 = 0x0002, LATEST = 0x0303, CIPHER_SPEC = 3,
};

static int is_version(__u16 version)
{
	return version == VERSION2 || (version >= 0x0300 && version <= LATEST);
}

/* Read a hello of a client; `length` is that of its record. */
static __u64 read_client(const __u8 *at, __u32 length)
{
	__u32 ciphers = sg_get16(at + 5), session = sg_get16(at + 7), challenge = sg_get16(at + 9);

	if ((session && session != 16) || challenge < 16 || challenge > 32)
		return 0;
	if (ciphers > length - (HEAD - 2))
		return 1ULL << SG_THREAT_SSL_CIPHER_OVERFLOW;
	if (sg_get16(at + 3) == VERSION2 && ciphers && !(ciphers % CIPHER_SPEC) &&
	    HEAD - 2 + ciphers + session + challenge == length)
		return 1ULL << SG_THREAT_SSL;
	return 0;
}

/* Return the threats of one side's first record. */
static __u64 read_side(const __u8 *at, __u32 len, __u8 type)
{
	__u32 length;

	if (len < HEAD || !(at[0] & LONG) || at[2] != type)
		return 0;
	length = sg_get16(at) & 0x7fff;
	if (length < HEAD - 2)
		return 0;
	if (type == CLIENT_HELLO)
		return is_version(sg_get16(at + 3)) ? read_client(at, length) : 0;
	return sg_get16(at + 5) == VERSION2 ? 1ULL << SG_THREAT_SSL : 0;
}

int sg_payload_ssl2(const struct sg_prefix *prefix, __u64 *found)
{
	__u64 client = read_side(prefix->data[0], prefix->len[0], CLIENT_HELLO);

	/* What a server says is SSLv2's if the client has asked in that form. */
	if (prefix->len[0] >= 3 && prefix->data[0][0] & LONG && prefix->data[0][2] == CLIENT_HELLO)
		client |= read_side(prefix->data[1], prefix->len[1], SERVER_HELLO);
	*found |= client;
	if (prefix->len[0] && !(prefix->data[0][0] & LONG))
		return 0;
	return prefix->len[0] < HEAD || (prefix->data[0][2] == CLIENT_HELLO && prefix->len[1] < HEAD);
}
