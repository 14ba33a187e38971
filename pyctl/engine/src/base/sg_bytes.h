/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Network-order loads and stores, and the keyed hash (SipHash-1-3) of everything a peer can choose.
 * In: bytes the caller has bounds-checked. Out: host values. Unaligned: a frame is bytes. */
#ifndef SG_BYTES_H
#define SG_BYTES_H

#include <arpa/inet.h>
#include <linux/types.h>
#include <string.h>

static inline __u16 sg_get16(const __u8 *at)
{
	return (__u16)((at[0] << 8) | at[1]);
}

static inline __u32 sg_get32(const __u8 *at)
{
	return ((__u32)at[0] << 24) | ((__u32)at[1] << 16) | ((__u32)at[2] << 8) | at[3];
}

static inline void sg_put16(__u8 *at, __u32 value)
{
	at[0] = (__u8)(value >> 8);
	at[1] = (__u8)value;
}

static inline void sg_put32(__u8 *at, __u32 value)
{
	sg_put16(at, value >> 16);
	sg_put16(at + 2, value);
}

/* The internet checksum's sum, on top of another: an odd byte counts as the first of two. Words of the host's order give
 * the same one with its bytes swapped (RFC 1071). */
static inline __u32 sg_sum(const __u8 *at, __u32 length, __u32 sum)
{
	__u64 words = 0;
	__u32 word;

	for (; length >= 4; length -= 4, at += 4) {
		memcpy(&word, at, 4);
		words += word;
	}
	words = (words & 0xffffffff) + (words >> 32);
	words = (words & 0xffff) + (words >> 16 & 0xffff) + (words >> 32);
	words = (words & 0xffff) + (words >> 16);
	sum += ntohs((__u16)((words & 0xffff) + (words >> 16)));
	for (; length > 1; length -= 2, at += 2)
		sum += sg_get16(at);
	return length ? sum + ((__u32)at[0] << 8) : sum;
}

static inline __u32 sg_checksum(__u32 sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

struct sg_hash_key {
	__u64 k[2];
};

static inline __u64 sg_rotl(__u64 value, unsigned int bits)
{
	return (value << bits) | (value >> (64 - bits));
}

static inline void sg_sip_round(__u64 v[4])
{
	v[0] += v[1];
	v[1] = sg_rotl(v[1], 13) ^ v[0];
	v[0] = sg_rotl(v[0], 32);
	v[2] += v[3];
	v[3] = sg_rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = sg_rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = sg_rotl(v[1], 17) ^ v[2];
	v[2] = sg_rotl(v[2], 32);
}

/* length is a multiple of 8: all our keys are. */
static inline __u64 sg_hash(const struct sg_hash_key *key, const void *bytes, unsigned int length)
{
	const __u8 *at = bytes;
	__u64 v[4] = {
		key->k[0] ^ 0x736f6d6570736575ULL, key->k[1] ^ 0x646f72616e646f6dULL,
		key->k[0] ^ 0x6c7967656e657261ULL, key->k[1] ^ 0x7465646279746573ULL,
	};
	__u64 word;

	for (unsigned int i = 0; i < length; i += 8) {
		memcpy(&word, at + i, 8);
		v[3] ^= word;
		sg_sip_round(v);
		v[0] ^= word;
	}
	word = (__u64)length << 56;
	v[3] ^= word;
	sg_sip_round(v);
	v[0] ^= word;
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sg_sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* Hash up to 256 bytes of any length, in letters of any case. */
static inline __u64 sg_hash_text(const struct sg_hash_key *key, const __u8 *text, __u32 length)
{
	__u64 words[33] = { 0 };
	__u8 *at = (__u8 *)words;

	length = length < 256 ? length : 256;
	for (__u32 i = 0; i < length; i++)
		at[i] = text[i] >= 'A' && text[i] <= 'Z' ? (__u8)(text[i] | 0x20) : text[i];
	words[32] = length;
	return sg_hash(key, words, sizeof(words));
}

#endif
