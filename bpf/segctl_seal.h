/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Of which key an element of a hash map is, and that it was read whole. The kernel gives an element that was deleted or
 * replaced to the next key at once, while packets on other CPUs still read it: they would take another's verdict, port,
 * owner or MAC. So a program believes what it read only with the seal of just that key and value.
 *
 * API: seg_seal() of a flow, with a secret because peers choose its key; seg_entry_seal() of what the agent writes.
 * NH of UMAC (RFC 4418 §5.2): without the secret, two contents have one seal once in 2^32. */
#ifndef SEGCTL_SEAL_H
#define SEGCTL_SEAL_H

#include "segctl_abi.h"

#define SEG_ENTRY_SECRET 0x9e3779b97f4a7c15ULL

union seg_flow_key {
	struct seg_flow_key4 v4;
	struct seg_flow_key6 v6;
	__u64 words[sizeof(struct seg_flow_key6) / 8];
};

static inline __attribute__((always_inline)) __u64 seg_seal_word(__u64 word, __u64 secret)
{
	return (__u64)((__u32)word + (__u32)secret) * ((__u32)(word >> 32) + (__u32)(secret >> 32));
}

/* A service's entry has its rule where a flow's has its session. */
static inline __attribute__((always_inline)) __u64 seg_service_rule(__u64 rule_key, __u32 rule_id)
{
	return rule_key ^ (__u64)rule_id << 32;
}

static inline __attribute__((always_inline)) __u8 seg_flow_verdicts(__u8 egress, __u8 ingress)
{
	return (__u8)(egress | ingress << 2);
}

/* The key is `words` words of 8 bytes. */
static inline __attribute__((always_inline)) __u64
seg_seal(const __u64 *secret, const __u64 *key, const __u32 words, __u64 session, __u64 generation, __u8 verdicts)
{
	__u64 seal = seg_seal_word(session, secret[0]) + seg_seal_word(generation << 4 | verdicts, secret[1]);

	for (__u32 i = 0; i < words; i++)
		seal += seg_seal_word(key[i], secret[2 + i]);
	return seal;
}

/* `words` of 8 bytes: the key, then the value as far as it is sealed, each filled up with zeros. */
static inline __attribute__((always_inline)) __u32 seg_entry_seal(const __u64 *words, const __u32 count)
{
	__u64 seal = 0;

	for (__u32 i = 0; i < count; i++)
		seal += seg_seal_word(words[i], SEG_ENTRY_SECRET * (2 * i + 1));
	return (__u32)(seal ^ seal >> 32);
}

#endif
