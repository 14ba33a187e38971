/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Keys of Initial packets; see the header. In: versions, connection ids, packets. Out: keys, plain text. No I/O but the load. */
#include "quic/sg_quic_keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/sg_bytes.h"
#include "base/sg_library.h"

enum { HASH = 32, BLOCK = 64, SALT = 20, LABEL_MAX = 24, SET_TAG = 0x11 /* EVP_CTRL_AEAD_SET_TAG */ };

/* What is used of libcrypto 3, as openssl/evp.h declares it. */
static struct {
	void *(*md_fetch)(void *, const char *, const char *);
	void *(*md_ctx_new)(void);
	void (*md_ctx_free)(void *);
	int (*md_init)(void *, const void *, void *);
	int (*md_update)(void *, const void *, size_t);
	int (*md_final)(void *, unsigned char *, unsigned int *);
	void *(*cipher_fetch)(void *, const char *, const char *);
	void *(*cipher_ctx_new)(void);
	void (*cipher_ctx_free)(void *);
	int (*set_padding)(void *, int);
	int (*ctrl)(void *, int, int, void *);
	int (*encrypt_init)(void *, const void *, void *, const unsigned char *, const unsigned char *);
	int (*encrypt)(void *, unsigned char *, int *, const unsigned char *, int);
	int (*decrypt_init)(void *, const void *, void *, const unsigned char *, const unsigned char *);
	int (*decrypt)(void *, unsigned char *, int *, const unsigned char *, int);
	int (*decrypt_final)(void *, unsigned char *, int *);
	void *sha256;
	void *gcm;
	void *ecb;
	int loaded;
} lib;

struct sg_quic_crypto {
	void *digest;
	void *gcm;
	void *ecb;
};

static const struct { void *function; const char *name; } functions[] = {
	{ &lib.md_fetch, "EVP_MD_fetch" }, { &lib.md_ctx_new, "EVP_MD_CTX_new" }, { &lib.md_ctx_free, "EVP_MD_CTX_free" },
	{ &lib.md_init, "EVP_DigestInit_ex" }, { &lib.md_update, "EVP_DigestUpdate" }, { &lib.md_final, "EVP_DigestFinal_ex" },
	{ &lib.cipher_fetch, "EVP_CIPHER_fetch" }, { &lib.cipher_ctx_new, "EVP_CIPHER_CTX_new" },
	{ &lib.cipher_ctx_free, "EVP_CIPHER_CTX_free" }, { &lib.set_padding, "EVP_CIPHER_CTX_set_padding" },
	{ &lib.ctrl, "EVP_CIPHER_CTX_ctrl" }, { &lib.encrypt_init, "EVP_EncryptInit_ex" }, { &lib.encrypt, "EVP_EncryptUpdate" },
	{ &lib.decrypt_init, "EVP_DecryptInit_ex" }, { &lib.decrypt, "EVP_DecryptUpdate" },
	{ &lib.decrypt_final, "EVP_DecryptFinal_ex" },
};

int sg_quic_crypto_load(void)
{
	void *library;

	if (lib.loaded)
		return 0;
	library = sg_library_open("libcrypto.so.3");
	if (!library)
		return -ENOENT;
	for (__u32 i = 0; i < sizeof(functions) / sizeof(*functions); i++)
		if (!sg_library_find(library, functions[i].name, functions[i].function))
			return -ENOENT;
	lib.sha256 = lib.md_fetch(NULL, "SHA256", NULL);
	lib.gcm = lib.cipher_fetch(NULL, "AES-128-GCM", NULL);
	lib.ecb = lib.cipher_fetch(NULL, "AES-128-ECB", NULL);
	if (!lib.sha256 || !lib.gcm || !lib.ecb)
		return -ENOENT;
	__atomic_store_n(&lib.loaded, 1, __ATOMIC_RELEASE);
	return 0;
}

void sg_quic_crypto_free(struct sg_quic_crypto *crypto)
{
	if (!crypto)
		return;
	lib.md_ctx_free(crypto->digest);
	lib.cipher_ctx_free(crypto->gcm);
	lib.cipher_ctx_free(crypto->ecb);
	free(crypto);
}

struct sg_quic_crypto *sg_quic_crypto_new(void)
{
	struct sg_quic_crypto *crypto = __atomic_load_n(&lib.loaded, __ATOMIC_ACQUIRE) ? calloc(1, sizeof(*crypto)) : NULL;

	if (!crypto)
		return NULL;
	crypto->digest = lib.md_ctx_new();
	crypto->gcm = lib.cipher_ctx_new();
	crypto->ecb = lib.cipher_ctx_new();
	if (crypto->digest && crypto->gcm && crypto->ecb && lib.md_init(crypto->digest, lib.sha256, NULL) == 1 &&
	    lib.decrypt_init(crypto->gcm, lib.gcm, NULL, NULL, NULL) == 1 &&
	    lib.encrypt_init(crypto->ecb, lib.ecb, NULL, NULL, NULL) == 1)
		return crypto;
	sg_quic_crypto_free(crypto);
	return NULL;
}

/* RFC 9001 5.2, RFC 9369 3.3.1, and the drafts that are still met. */
static const __u8 *salt_of(__u32 version)
{
	static const __u8 draft_23[SALT] = { 0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7,
					     0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65, 0xbe, 0xf9, 0xf5, 0x02 };
	static const __u8 draft_29[SALT] = { 0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97,
					     0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43, 0x90, 0xa8, 0x99 };
	static const __u8 version_1[SALT] = { 0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
					      0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a };
	static const __u8 version_2[SALT] = { 0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93,
					      0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9 };

	if (version == 1 || version == 0xff000021 || version == 0xff000022)
		return version_1;
	if (version == 0x6b3343cf)
		return version_2;
	if (version >= 0xff00001d && version <= 0xff000020)
		return draft_29;
	return version >= 0xff000017 && version <= 0xff00001c ? draft_23 : NULL;
}

int sg_quic_is_readable(__u32 version)
{
	return salt_of(version) != NULL;
}

/* RFC 2104, with a key of at most BLOCK bytes. */
static int hmac(struct sg_quic_crypto *crypto, const __u8 *key, __u32 key_len, const __u8 *text, __u32 len, __u8 out[HASH])
{
	__u8 inner[BLOCK] = { 0 }, outer[BLOCK];

	memcpy(inner, key, key_len);
	for (int i = 0; i < BLOCK; i++) {
		outer[i] = inner[i] ^ 0x5c;
		inner[i] ^= 0x36;
	}
	if (lib.md_init(crypto->digest, NULL, NULL) != 1 || lib.md_update(crypto->digest, inner, BLOCK) != 1 ||
	    lib.md_update(crypto->digest, text, len) != 1 || lib.md_final(crypto->digest, out, NULL) != 1)
		return -1;
	if (lib.md_init(crypto->digest, NULL, NULL) != 1 || lib.md_update(crypto->digest, outer, BLOCK) != 1 ||
	    lib.md_update(crypto->digest, out, HASH) != 1)
		return -1;
	return lib.md_final(crypto->digest, out, NULL) == 1 ? 0 : -1;
}

/* HKDF-Expand-Label (RFC 8446, 7.1) of at most HASH bytes. */
static int expand(struct sg_quic_crypto *crypto, const __u8 secret[HASH], const char *label, __u8 *out, __u32 len)
{
	__u8 info[LABEL_MAX + 4] = { 0 }, block[HASH];
	__u32 size = (__u32)strlen(label);

	info[1] = (__u8)len;
	info[2] = (__u8)size;
	memcpy(info + 3, label, size);
	info[size + 4] = 1;
	if (hmac(crypto, secret, HASH, info, size + 5, block))
		return -1;
	memcpy(out, block, len);
	return 0;
}

int sg_quic_derive(struct sg_quic_crypto *crypto, __u32 version, const __u8 *cid, __u32 cid_len, struct sg_quic_keys *keys)
{
	const __u8 *salt = salt_of(version);
	int is_2 = version == 0x6b3343cf;
	__u8 secret[HASH];

	if (!salt || hmac(crypto, salt, SALT, cid, cid_len, secret) || expand(crypto, secret, "tls13 client in", secret, HASH))
		return -1;
	return expand(crypto, secret, is_2 ? "tls13 quicv2 key" : "tls13 quic key", keys->key, sizeof(keys->key)) ||
	       expand(crypto, secret, is_2 ? "tls13 quicv2 iv" : "tls13 quic iv", keys->iv, sizeof(keys->iv)) ||
	       expand(crypto, secret, is_2 ? "tls13 quicv2 hp" : "tls13 quic hp", keys->hp, sizeof(keys->hp)) ? -1 : 0;
}

int sg_quic_mask(struct sg_quic_crypto *crypto, const struct sg_quic_keys *keys, const __u8 *sample, __u8 *mask)
{
	int len = 0;

	return lib.encrypt_init(crypto->ecb, NULL, NULL, keys->hp, NULL) == 1 && lib.set_padding(crypto->ecb, 0) == 1 &&
	       lib.encrypt(crypto->ecb, mask, &len, sample, SG_QUIC_SAMPLE) == 1 ? 0 : -1;
}

int sg_quic_open(struct sg_quic_crypto *crypto, const struct sg_quic_keys *keys, __u32 number, const struct sg_quic_part head[3],
		 const __u8 *payload, __u32 len, __u8 *out)
{
	__u8 nonce[sizeof(keys->iv)], tag[SG_QUIC_TAG];
	int size = 0;

	memcpy(nonce, keys->iv, sizeof(nonce));
	for (int i = 0; i < 4; i++)
		nonce[sizeof(nonce) - 1 - (__u32)i] ^= (__u8)(number >> 8 * i);
	memcpy(tag, payload + len, sizeof(tag));
	if (lib.decrypt_init(crypto->gcm, NULL, NULL, keys->key, nonce) != 1)
		return -1;
	for (int i = 0; i < 3; i++)
		if (head[i].len && lib.decrypt(crypto->gcm, NULL, &size, head[i].at, (int)head[i].len) != 1)
			return -1;
	return lib.decrypt(crypto->gcm, out, &size, payload, (int)len) == 1 &&
	       lib.ctrl(crypto->gcm, SET_TAG, SG_QUIC_TAG, tag) == 1 &&
	       lib.decrypt_final(crypto->gcm, out + len, &size) == 1 ? 0 : -1;
}
