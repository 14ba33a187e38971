/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Which flow an entry of the flow maps is of, and what it says: the kernel gives a deleted element to the next
 * flow while packets still read it, so a program believes what it read only with the seal of just that.
 *
 * API: seg_seal(). NH of UMAC (RFC 4418 §5.2): without the secret, two contents have one seal once in 2^32. */
#ifndef SEGCTL_SEAL_H
#define SEGCTL_SEAL_H

#include "segctl_abi.h"

union seg_flow_key {
	struct seg_flow_key4 v4;
	struct seg_flow_key6 v6;
	__u64 words[sizeof(struct seg_flow_key6) / 8];
};

static inline __attribute__((always_inline)) __u64 seg_seal_word(__u64 word, __u64 secret)
{
	return (__u64)((__u32)word + (__u32)secret) * ((__u32)(word >> 32) + (__u32)(secret >> 32));
}

/* `words` of 8 bytes are the key. */
static inline __attribute__((always_inline)) __u64
seg_seal(const __u64 *secret, const __u64 *key, const __u32 words, __u64 session, __u64 generation, __u8 verdict)
{
	__u64 seal = seg_seal_word(session, secret[0]) + seg_seal_word(generation << 2 | verdict, secret[1]);

	for (__u32 i = 0; i < words; i++)
		seal += seg_seal_word(key[i], secret[2 + i]);
	return seal;
}

#endif
