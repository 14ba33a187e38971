/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* NFS: a call of ONC RPC to one of the programs that belong to it, with a version and a procedure that exist. */
#include "apps_net/sg_apps_net.h"
#include "prefix/sg_reader.h"

enum {
	LAST_FRAGMENT = 0x80000000,
	CALL_LEAST = 40,
	CALL_MOST = 1 << 24,
	CALL = 0,
	RPC_VERSION = 2,
	PROOF_MOST = 400,
	PROOF_TLS = 7,
};

static const struct program {
	__u32 number;
	__u32 version_least;
	__u32 version_most;
	__u32 procedure_most;
} programs[] = {
	{ 100000, 2, 4, 12 },	/* portmapper, rpcbind */
	{ 100003, 2, 4, 21 },	/* NFS */
	{ 100005, 1, 3, 8 },	/* mount */
	{ 100011, 1, 2, 4 },	/* quotas */
	{ 100021, 1, 4, 23 },	/* locks */
	{ 100024, 1, 1, 6 },	/* state of the peer */
	{ 100227, 2, 3, 5 },	/* access lists */
};

static int is_procedure(__u32 number, __u32 version, __u32 procedure)
{
	for (__u32 i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		const struct program *one = &programs[i];

		if (one->number == number)
			return version >= one->version_least && version <= one->version_most &&
			       procedure <= one->procedure_most;
	}
	return 0;
}

/* A kind of proof, and its bytes. */
static void read_proof(struct sg_reader *side)
{
	__u32 kind = (__u32)sg_take(side, 4);
	__u32 len;

	sg_require(side, kind <= PROOF_TLS);
	len = (__u32)sg_take(side, 4);
	sg_require(side, len <= PROOF_MOST && len % 4 == 0);
	sg_skip(side, len);
}

enum sg_match sg_app_nfs(const struct sg_prefix *prefix)
{
	struct sg_reader side = sg_reader(prefix, 0);
	__u32 program, version, procedure;

	if (prefix->proto == IPPROTO_TCP) {
		__u32 len = (__u32)sg_take(&side, 4) ^ LAST_FRAGMENT;

		sg_require(&side, len >= CALL_LEAST && len <= CALL_MOST);
	}
	sg_skip(&side, 4);
	sg_require(&side, sg_take(&side, 4) == CALL);
	sg_require(&side, sg_take(&side, 4) == RPC_VERSION);
	program = (__u32)sg_take(&side, 4);
	version = (__u32)sg_take(&side, 4);
	procedure = (__u32)sg_take(&side, 4);
	sg_require(&side, is_procedure(program, version, procedure));
	read_proof(&side);
	read_proof(&side);
	return sg_read_as(&side, SG_MATCH_CERTAIN);
}
