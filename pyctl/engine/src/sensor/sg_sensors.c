/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A node's sensors; see the header. In: bytes. Out: databases. I/O: the dynamic loader, for the libraries. */
#include "sensor/sg_sensors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "inflate/sg_unzip.h"
#include "sensor/sg_exact.h"

/* The parts of a block. */
struct block {
	struct sg_sensor_head head;
	const __u8 *patterns;
	const __u8 *texts;
	const __u8 *databases[SG_PARTS];
};

static __u64 filled(__u64 bytes)
{
	return (bytes + 3) & ~3ULL;
}

static int is_pattern_valid(const struct sg_pattern *pattern, const struct sg_sensor_head *head)
{
	const char *end = memchr(pattern->name, 0, sizeof(pattern->name));

	return end && end > pattern->name && pattern->sensor < SG_SENSORS_MAX && pattern->part < SG_PARTS &&
	       head->databases[pattern->part] && pattern->severity <= 4 && pattern->show <= 1 &&
	       pattern->regex <= head->texts && pattern->regex_len <= head->texts - pattern->regex;
}

static int view(const __u8 *bytes, __u32 length, struct block *block)
{
	__u64 at = sizeof(block->head);

	if (length < at)
		return -EINVAL;
	memcpy(&block->head, bytes, sizeof(block->head));
	if (!block->head.patterns || block->head.patterns > SG_PATTERNS_MAX)
		return -EINVAL;
	block->patterns = bytes + at;
	at += block->head.patterns * (__u64)sizeof(struct sg_pattern);
	block->texts = bytes + at;
	at += filled(block->head.texts);
	for (int part = 0; part < SG_PARTS && at <= length; part++) {
		block->databases[part] = bytes + at;
		at += filled(block->head.databases[part]);
	}
	return at == length ? 0 : -EINVAL;
}

/* Take a part's database. */
static int take(struct sg_sensors *set, int part, const __u8 *bytes, __u32 length)
{
	size_t size;

	if (!length)
		return 0;
	if (set->hs->deserialize((const char *)bytes, length, &set->databases[part]))
		return -EPROTO;
	if (set->hs->alloc_scratch(set->databases[part], &set->scratch))
		return -ENOMEM;
	if (set->hs->stream_size(set->databases[part], &size) || size > 1U << 20)
		return -EPROTO;
	set->stream_bytes[part] = (__u32)size;
	return 0;
}

static int take_pattern(struct sg_sensors *set, __u32 index, const struct block *block)
{
	struct sg_pattern *pattern = &set->patterns[index];

	memcpy(pattern, block->patterns + index * sizeof(*pattern), sizeof(*pattern));
	if (!is_pattern_valid(pattern, &block->head))
		return -EINVAL;
	set->of_part[pattern->part] |= 1ULL << pattern->sensor;
	if (pattern->confirm != SG_CONFIRM_PCRE2)
		return 0;
	return sg_exact_compile(block->texts + pattern->regex, pattern->regex_len, &set->exact[index]);
}

static int fill(struct sg_sensors *set, const struct block *block)
{
	int error = 0;

	set->hs = sg_hs_load();
	if (!set->hs)
		return -ENOPKG;
	set->exact = calloc(block->head.patterns, sizeof(*set->exact));
	if (!set->exact)
		return -ENOMEM;
	memcpy(set->key, block->head.key, sizeof(set->key));
	set->pattern_count = block->head.patterns;
	for (__u32 i = 0; i < set->pattern_count && !error; i++)
		error = take_pattern(set, i, block);
	/* Bodies may be compressed. */
	if (block->head.databases[SG_PART_BODY])
		sg_unzip_load();
	for (int part = 0; part < SG_PARTS && !error; part++)
		error = take(set, part, block->databases[part], block->head.databases[part]);
	return error;
}

int sg_sensors_build(const __u8 *bytes, __u32 length, struct sg_sensors **out)
{
	struct sg_sensors *set;
	struct block block;
	int error;

	*out = NULL;
	if (!length)
		return 0;
	error = view(bytes, length, &block);
	if (error)
		return error;
	set = calloc(1, sizeof(*set) + block.head.patterns * sizeof(set->patterns[0]));
	if (!set)
		return -ENOMEM;
	error = fill(set, &block);
	if (error)
		sg_sensors_free(set);
	else
		*out = set;
	return error;
}

void sg_sensors_free(struct sg_sensors *sensors)
{
	if (!sensors)
		return;
	for (__u32 i = 0; i < sensors->pattern_count; i++)
		sg_exact_free(sensors->exact[i]);
	for (int part = 0; part < SG_PARTS; part++)
		if (sensors->databases[part])
			sensors->hs->free_database(sensors->databases[part]);
	if (sensors->scratch)
		sensors->hs->free_scratch(sensors->scratch);
	free(sensors->exact);
	free(sensors);
}

struct sg_sensors *sg_sensors_use(struct sg_sensors *sensors)
{
	if (sensors)
		sensors->users++;
	return sensors;
}

void sg_sensors_leave(struct sg_sensors *sensors)
{
	if (sensors && !--sensors->users)
		sg_sensors_free(sensors);
}

int sg_sensors_same(const struct sg_sensors *one, const struct sg_sensors *other)
{
	if (!one || !other)
		return one == other;
	return !memcmp(one->key, other->key, sizeof(one->key));
}
