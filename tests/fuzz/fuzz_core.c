/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Fuzzes the core: any bytes as frames, policies and time steps, in a build with ASan and UBSan.
 *
 * With libFuzzer: clang -fsanitize=fuzzer,address,undefined fuzz_core.c <core sources>.
 * Alone (-DFUZZ_ALONE): mutates frames of its own for the seconds given, from the seed given, and
 * prints the seed of a failing run before it starts it.
 * Each frame is handed in as an allocation of exactly its size, so one byte beyond is a fault.
 * The world refuses a part of what it is asked, so that the error paths run too. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/sg_core.h"

struct world {
	uint64_t sent;
	uint64_t session;	/* of the last entry written */
	uint64_t opened;	/* of the last connection that a program opened */
	struct seg_service_key service;	/* the last one that programs may open */
	uint32_t classes;	/* written, or to be */
	unsigned int puts;
};

static int world_send(void *ctx, const struct sg_frame *frame)
{
	struct world *world = ctx;
	volatile uint8_t last = 0;

	for (uint32_t i = 0; i < frame->len; i++)
		last = frame->data[i];
	(void)last;
	world->sent++;
	return world->sent % 97 ? 0 : -100;
}

static int world_put(void *ctx, int family, const void *key, const struct seg_flow *flow, uint64_t generation)
{
	struct world *world = ctx;

	(void)family;
	(void)key;
	(void)generation;
	world->session = flow->session;
	return ++world->puts % 13 ? 0 : -7;
}

static int world_get(void *ctx, int family, const void *key, struct seg_flow *flow)
{
	(void)family;
	(void)key;
	memset(flow, 0, sizeof(*flow));
	for (int i = 0; i < 2; i++) {
		flow->packets[i] = (((struct world *)ctx)->puts + (unsigned)i) % 3;
		flow->ways[i].payload = flow->packets[i] == 2;
		flow->ways[i].closed = ((struct world *)ctx)->puts % 17 < 14 ? 0 : ((struct world *)ctx)->puts & 3;
	}
	return 0;
}

static int world_delete(void *ctx, int family, const void *key, struct seg_flow *flow)
{
	return world_get(ctx, family, key, flow);
}

static int world_service(void *ctx, const struct seg_service_key *key, const struct seg_service *service)
{
	struct world *world = ctx;

	world->service = *key;
	return service->verdict == SEG_VERDICT_ALLOW ? 0 : -22;
}

/* One in eight is refused. */
static int world_class_put(void *ctx, const struct seg_class_key *key, uint32_t class)
{
	struct world *world = ctx;

	return key->version && key->prefix_len <= 168 && (world->classes++ & 7 || !class) ? 0 : -7;
}

static int world_class_delete(void *ctx, const struct seg_class_key *key)
{
	return world_class_put(ctx, key, 1);
}

static void world_class_use(void *ctx, uint32_t version)
{
	(void)ctx;
	(void)version;
}

static void world_credit(void *ctx, __u16 port_id, __s64 connections)
{
	(void)ctx;
	if (!port_id || connections > 1 << 14)
		abort();
}

/* The key of a connection of the service, from one of eight ports. */
static struct seg_flow_key6 key_of(const struct seg_service_key *of, uint8_t choice)
{
	int out = of->dir == SEG_DIR_EGRESS;
	struct seg_flow_key6 key = { .port_id = of->port_id, .proto = of->proto };

	memcpy(key.local, of->local, 16);
	key.local_port = out ? choice & 7 : of->service_port;
	key.remote_port = out ? of->service_port : choice & 7;
	return key;
}

/* A program opens a connection of the service, or tells of one once more. */
static void open_one(struct sg_core *core, struct world *world, uint8_t choice, uint64_t now)
{
	const struct seg_service_key *of = &world->service;
	struct seg_open_event event = {
		.generation = choice >> 6, .rule_key = choice, .rule_id = choice >> 4, .family = of->family,
		.dir = of->dir, .key = key_of(of, choice),
	};

	if (!of->family)
		return;
	if (!(choice & 8) || !world->opened)
		world->opened = now | SEG_OPENED_BY_KERNEL;
	event.session = world->opened;
	sg_core_open_event(core, &event, now);
}

/* All threats or none are looked for; some of them are dropped, some answered. */
static struct sg_threat_settings threats_of(unsigned int choice)
{
	const uint64_t all = (2ULL << SG_THREAT_LAST) - 2;
	struct sg_threat_settings made = { .on = choice & 64 ? all : 0 };

	made.drop = choice & 1 ? made.on : made.on & 0x5555555555555555;
	made.reset = made.drop & 0x3333333333333333;
	return made;
}

static void set_policy(struct sg_core *core, uint8_t choice)
{
	static uint64_t generation;
	struct sg_policy policy = {
		.generation = ++generation, .port_id = 1 + (choice & 1), .flags = choice >> 7,
		.mode = 1 + (choice >> 1 & 3), .default_verdict = 1 + (choice >> 3 & 1), .rule_count = 2,
		.threats = threats_of(choice),
	};
	struct sg_rule rules[2] = {
		{ .id = 1, .dir = choice >> 4 & 1, .proto = choice & 16 ? 6 : 17, .action = 1 + (choice >> 5 & 1),
		  .port_hi = 65535 },
		{ .id = 2, .family = SEG_FAMILY_IPV6, .prefix_len = choice >> 1, .action = 1, .port_hi = 80 },
	};

	if (rules[0].proto == 17)
		rules[1].family = SEG_FAMILY_IPV4, rules[1].prefix_len = choice % 33;
	sg_core_policy_set(core, &policy, rules);
}

/* A node policy of random parts, some of them impossible; then a delta, or the like. Of every other one a byte
 * anywhere is what `noise` says. */
static void set_node(struct sg_core *core, uint8_t choice, uint8_t noise)
{
	static const uint8_t protos[] = { 6, 17, 1, 58 };
	struct {
		struct sg_node_head head;
		struct sg_policy policy;
		struct sg_node_rule rules[2];
		struct sg_node_condition conditions[1];
		struct sg_node_spec specs[2];
		struct sg_node_cidr cidrs[2];
		struct sg_member members[2];
		uint32_t groups[2];
		uint8_t texts[16];
	} block = {
		.head = { .groups = 3, .policies = 1, .rules = 2, .specs = 2, .cidrs = 2, .members = 2,
			  .member_groups = 2, .conditions = 1, .texts = 16 },
		.policy = { .generation = choice, .port_id = 1 + (choice & 1), .mode = 3,
			    .default_verdict = 2, .flags = SG_POLICY_NODE, .threats = threats_of(choice) },
		.rules = { { 1, choice & 3, choice >> 2 & 3, 0, 2, 1, choice >> 3 & 3, choice >> 5 & 1,
			     noise >> 1 & 3, choice >> 6, noise & 4 ? 1 << 5 : 0 },
			   { 2, 0, choice >> 4 & 3, 1, 1, 2, 0, choice >> 2 & 3, 0, 3, noise & 8 ? 1 << 5 : 0,
			     noise >> 3 & 1 } },
		.conditions = { { 1, 0, 16, choice >> 2 & 1 } },
		.specs = { { protos[choice >> 5 & 3], 0, 0, choice, 0 }, { 0, 0, 0, 65535, 0 } },
		.cidrs = { { 1, SEG_FAMILY_IPV4, choice % 34, { 0 }, { 7, 7, 7 } },
			   { 2, SEG_FAMILY_IPV6, choice % 130, { 0 }, { 7, 7, 7 } } },
		.members = { { 0, 0, 1, { 0 }, 0, 1 }, { SEG_FAMILY_IPV6, 0, 0, { 7 }, 0, choice & 3 } },
		.groups = { 1, choice >> 6 },
		.texts = { 1, 0, 3, '*', '.', 'a', 2, 0, 2, 'h', '2', 3, 0, 2, 3, 3 },
	};
	struct sg_node *node, *former;

	if (noise & 1)
		((uint8_t *)&block)[(noise * 256U + choice) % sizeof(block)] = noise;
	if (choice & 1) {
		if (sg_core_node_build(core, &block, sizeof(block), &node))
			return;
		sg_core_node_swap(core, node, sg_core_classes_write(core, node, 1 + choice), &block, sizeof(block),
				  &former);
		sg_node_free(former);
		return;
	}
	block.head.rules = block.head.conditions = block.head.specs = block.head.cidrs = block.head.texts = 0;
	memmove(block.rules, block.members, sizeof(block.members) + sizeof(block.groups));
	sg_core_members_set(core, &block, sizeof(block.head) + sizeof(block.policy) +
					      sizeof(block.members) + sizeof(block.groups));
}

static void drain(struct sg_core *core)
{
	struct sg_session_info sessions[8];
	struct sg_hit_page counted = { 0 };
	struct sg_event events[64];
	struct sg_hit hits[8];
	uint32_t cursor = 0;
	struct sg_event_page page = { 0 };
	uint32_t found;

	do {
		found = sg_core_events(core, 0, page.first, 0, events, 64, &page);
		page.first += found - 1;
	} while (found);
	do {
		sg_core_hits(core, 0, hits, 8, &counted);
	} while (counted.cursor);
	do {
		sg_core_sessions(core, 0, sessions, 8, &cursor);
	} while (cursor);
}

/* The input is a row of commands: 0xff policy, 0xfe time, 0xfd port gone, 0xfc node policy, 0xfb the end of a
 * connection, 0xfa one that a program opens, else a frame whose length is the next two bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world world = { 0 };
	struct sg_io io = { &world, world_send, world_put, world_get, world_delete, world_service,
			     world_class_put, world_class_delete, world_class_use,
			     world_credit, NULL, NULL };
	struct sg_core_config config = { .max_sessions = 40, .flow_cache = 1 };
	struct sg_core *core = sg_core_new(&io, &config);
	const uint8_t *at = data, *end = data + size;
	uint64_t now = 1000000000000ULL;

	set_policy(core, 0x0c);
	while (end - at >= 3) {
		uint8_t command = at[0], choice = at[1];

		if (command >= 0xfa) {
			struct seg_close_event told = {
				.session = world.session ^ (choice >> 4 ? 0 : (uint64_t)choice << (choice & 32)),
				.dir = choice >> 2, .close = choice,
			};

			if (choice & 64 && world.opened) {
				told.session = world.opened;
				told.family = world.service.family;
				told.key = key_of(&world.service, choice);
				told.dir = 1 + (choice >> 2 & 1);
			}

			at += 2;
			if (command == 0xfa)
				open_one(core, &world, choice, now);
			if (command == 0xfb)
				sg_core_close_event(core, &told, now);
			if (command == 0xfc)
				set_node(core, choice, *at);
			if (command == 0xff)
				set_policy(core, choice);
			else if (command == 0xfd)
				sg_core_port_delete(core, choice & 3);
			now += command == 0xfe ? choice * 100000000ULL : 0;
			sg_core_tick(core, now);
			continue;
		}
		size_t length = ((size_t)at[1] << 8 | at[2]) % 2048;
		struct sg_frame frame = { 0 };

		at += 3;
		if (length > (size_t)(end - at))
			length = (size_t)(end - at);
		uint8_t *copy = malloc(length ? length : 1);

		memcpy(copy, at, length);
		at += length;
		frame.data = copy;
		frame.len = frame.wire_len = (uint32_t)length;
		frame.has_vlan = command == 1;
		frame.vnet[1] = command & 2;
		sg_core_frame(core, &frame, now);
		free(copy);
		now += 1000000;
	}
	drain(core);
	sg_core_tick(core, now + 20000000000ULL);
	sg_core_free(core);
	return 0;
}

#ifdef FUZZ_ALONE
#include "alone.h"

/* Frames worth breaking: enough of each header that mutations reach the code behind. */
static size_t make_frame(uint8_t *out)
{
	static const uint8_t protos[] = { 6, 6, 6, 17, 1, 58, 44, 0, 43, 60, 47 };
	int v6 = rand() & 1, egress = rand() & 1;
	size_t length = 14 + (v6 ? 40 : 20) + (size_t)(rand() % 120);
	uint8_t *ip = out + 14, proto = protos[(size_t)rand() % sizeof(protos)];

	for (size_t i = 0; i < length; i++)
		out[i] = (uint8_t)(rand() % 4 ? 0 : rand());
	memcpy(out + (egress ? 6 : 0), "\x4e\x65\x75\x56\x00", 5);
	out[egress ? 11 : 5] = (uint8_t)(1 + (rand() & 1));
	memset(out + (egress ? 0 : 6), 2, 6);
	out[12] = v6 ? 0x86 : 0x08;
	out[13] = v6 ? 0xdd : 0x00;
	if (v6) {
		ip[0] = 0x60;
		ip[4] = 0;
		ip[5] = (uint8_t)(length - 54);
		ip[6] = proto;
		memset(ip + 8, 7, 32);
		if (proto == 44 || proto == 0 || proto == 43 || proto == 60)
			ip[40] = protos[(size_t)rand() % sizeof(protos)], ip[41] = (uint8_t)(rand() % 3);
	} else {
		ip[0] = 0x45;
		ip[2] = 0;
		ip[3] = (uint8_t)(length - 14);
		ip[6] = (uint8_t)(rand() % 3 ? 0 : 0x20);
		ip[7] = (uint8_t)(rand() % 3 ? 0 : rand() % 6);
		ip[9] = proto;
		memset(ip + 12, 7, 8);
	}
	if (proto == 6 && length > 14U + (v6 ? 40 : 20) + 20U) {
		uint8_t *tcp = ip + (v6 ? 40 : 20);
		static const uint8_t flags[] = { 0x02, 0x12, 0x10, 0x18, 0x11, 0x04, 0x14, 0x00 };

		tcp[12] = 0x50;
		tcp[13] = flags[rand() % 8];
		tcp[1] = tcp[3] = (uint8_t)(rand() % 3);
		tcp[0] = tcp[2] = 0;
	}
	if (proto == (v6 ? 58 : 1) && rand() % 2) {
		size_t header = v6 ? 40 : 20;
		uint8_t *quoted = ip + header + 8;

		/* An error about a packet like this one. */
		ip[header] = v6 ? 1 : 3;
		if (length > 14 + 2 * header + 16) {
			memcpy(quoted, ip, header);
			quoted[v6 ? 6 : 9] = protos[(size_t)rand() % 6];
			quoted[header] = v6 ? 128 : 8;
		}
	}
	if (v6 && proto == 0 && rand() % 4 == 0) {
		memcpy(ip + 42, rand() % 2 ? "\xc2\x04\x00\x01\x00\x00" : "\x00\x01\x02\x00\xc2\x04", 6);
		ip[5] = 0;
	}
	for (int i = rand() % 4; i > 0; i--)
		out[(size_t)rand() % length] = (uint8_t)rand();
	return length;
}

static unsigned int make_and_run(void)
{
	static uint8_t input[1 << 16];
	size_t size = 0;

	while (size < sizeof(input) - 4096) {
		int kind = rand() % 40;

		if (kind < 6) {
			input[size++] = (uint8_t)(0xfa + kind);
			input[size++] = (uint8_t)rand();
			continue;
		}
		size_t length = make_frame(input + size + 3);

		if (kind == 6)
			length = (size_t)rand() % (length + 1);
		input[size] = (uint8_t)(rand() % 4);
		input[size + 1] = (uint8_t)(length >> 8);
		input[size + 2] = (uint8_t)length;
		size += 3 + length;
	}
	LLVMFuzzerTestOneInput(input, size);
	return 1;
}

int main(int argc, char **argv)
{
	return run_alone(argc, argv, make_and_run);
}
#endif
