/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The keys of QUIC's Initial packets, which anybody derives from what they show (RFC 9001, 9369), by libcrypto. It is loaded
 * when the first policy asks for names, so that an engine without such a policy takes nothing of it. */
#ifndef SG_QUIC_KEYS_H
#define SG_QUIC_KEYS_H

#include "segctl_abi.h"

enum sg_quic_key_limit { SG_QUIC_CID = 20, SG_QUIC_TAG = 16, SG_QUIC_SAMPLE = 16 };

/* A client's keys under one version. */
struct sg_quic_keys {
	__u8 key[16];
	__u8 hp[16];
	__u8 iv[12];
};

struct sg_quic_crypto;

/* Load libcrypto; later calls do nothing. Returns 0 or -ENOENT. Another thread may call it while engines work. */
int sg_quic_crypto_load(void);
/* NULL: it is not loaded, or there is no memory. One thread's. */
struct sg_quic_crypto *sg_quic_crypto_new(void);
void sg_quic_crypto_free(struct sg_quic_crypto *crypto);
/* Return whether the version's Initial packets can be read. */
int sg_quic_is_readable(__u32 version);
/* Derive the client's keys. -1: not of this version, or libcrypto failed. */
int sg_quic_derive(struct sg_quic_crypto *crypto, __u32 version, const __u8 *cid, __u32 cid_len, struct sg_quic_keys *keys);
/* Write the mask of a header whose sample is this (SG_QUIC_SAMPLE bytes, as the mask). Returns 0 or -1. */
int sg_quic_mask(struct sg_quic_crypto *crypto, const struct sg_quic_keys *keys, const __u8 *sample, __u8 *mask);
/* The parts of a packet's header, as they are authenticated. */
struct sg_quic_part {
	const __u8 *at;
	__u32 len;
};
/* Decrypt the payload, whose tag is behind it. Returns 0; -1: it was not made with these keys. */
int sg_quic_open(struct sg_quic_crypto *crypto, const struct sg_quic_keys *keys, __u32 number, const struct sg_quic_part head[3],
		 const __u8 *payload, __u32 len, __u8 *out);

#endif
