/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Outstanding questions; see the header. In: questions, answers' questions. Out: whether they go together. No I/O. */
#include "names/sg_questions.h"

#include <errno.h>
#include <stdlib.h>

int sg_questions_init(struct sg_questions *questions, const struct sg_hash_key *hash_key)
{
	*questions = (struct sg_questions){ .hash_key = hash_key, .is_ours = 1 };
	questions->store = calloc(1, sizeof(*questions->store));
	questions->rows = calloc(SG_QUESTIONS + 1, sizeof(*questions->rows));
	return sg_pool_init(&questions->pool, SG_QUESTIONS) || !questions->store || !questions->rows ? -ENOMEM : 0;
}

void sg_questions_free(struct sg_questions *questions)
{
	if (questions->is_ours)
		free(questions->store);
	free(questions->rows);
	sg_pool_free(&questions->pool);
}

static __u64 hash_of(const struct sg_questions *questions, __u64 flow, __u16 id)
{
	const __u64 key[2] = { flow, id };

	return sg_hash(questions->hash_key, key, sizeof(key));
}

static __u32 find(const struct sg_questions *questions, __u64 flow, const struct sg_dns_question *question)
{
	__u32 place = sg_pool_first(&questions->pool, hash_of(questions, flow, question->id));

	for (; place; place = sg_pool_next(&questions->pool, place))
		if (questions->store->all[place].flow == flow && sg_dns_is_same(&questions->store->all[place].question, question))
			break;
	return place;
}

static void drop(struct sg_questions *questions, struct sg_row *row, __u32 place)
{
	struct sg_asked *asked = &questions->store->all[place];

	sg_pool_unlink(&questions->pool, place, hash_of(questions, asked->flow, asked->question.id));
	sg_pool_give(&questions->pool, place);
	asked->asks = 0;
	sg_row_out(row, questions->rows, place);
}

static int is_over(const struct sg_asked *asked, __u64 now_ns)
{
	return now_ns > asked->asked_ns + SG_QUESTION_NS;
}

/* Drop those that nobody answered, and of the others the oldest while the port has too many. */
static __u32 make_room(struct sg_questions *questions, struct sg_row *row, __u64 now_ns)
{
	__u32 evicted = 0;

	while (row->tail) {
		int over = is_over(&questions->store->all[row->tail], now_ns);

		if (!over && row->count < SG_QUESTIONS_SHARE * (SG_QUESTIONS - questions->pool.count))
			break;
		drop(questions, row, row->tail);
		evicted += !over;
	}
	return evicted;
}

__u32 sg_questions_add(struct sg_questions *questions, struct sg_row *row, __u64 flow, const struct sg_dns_question *question,
		       __u64 now_ns)
{
	__u32 evicted = make_room(questions, row, now_ns), place = find(questions, flow, question);
	__u8 asks = 1;

	if (place) {
		asks = questions->store->all[place].asks;
		asks = (__u8)(asks + (asks < SG_QUESTION_ASKS));
		sg_row_out(row, questions->rows, place);
	} else {
		place = sg_pool_take(&questions->pool);
		if (!place)
			return evicted + 1;
		questions->store->used = questions->pool.used;
		sg_pool_link(&questions->pool, place, hash_of(questions, flow, question->id));
	}
	questions->store->all[place] = (struct sg_asked){ .question = *question, .flow = flow, .asked_ns = now_ns, .asks = asks };
	sg_row_in(row, questions->rows, place);
	return evicted;
}

int sg_questions_take(struct sg_questions *questions, struct sg_row *row, __u64 flow, const struct sg_dns_question *answer,
		      __u64 now_ns)
{
	__u32 place = find(questions, flow, answer);
	int found = place && !is_over(&questions->store->all[place], now_ns);

	if (place && questions->store->all[place].asks > 1)
		questions->store->all[place].asks--;
	else if (place)
		drop(questions, row, place);
	return found;
}

void sg_questions_forget(struct sg_questions *questions, struct sg_row *row)
{
	while (row->tail)
		drop(questions, row, row->tail);
}

/* A former engine may have died in the middle of any write. */
static int is_whole(const struct sg_asked *asked, __u64 now_ns)
{
	return asked->asks && asked->asks <= SG_QUESTION_ASKS && asked->question.length && asked->asked_ns <= now_ns &&
	       !is_over(asked, now_ns);
}

void sg_questions_place(struct sg_questions *questions, struct sg_question_store *store, int keep,
			struct sg_row *(*row_of)(void *context, __u64 flow), void *context, __u64 now_ns)
{
	if (questions->is_ours)
		free(questions->store);
	questions->store = store;
	questions->is_ours = 0;
	if (!keep || store->used > SG_QUESTIONS)
		store->used = 0;
	for (__u32 place = 1; place <= store->used; place++) {
		struct sg_asked *asked = &store->all[place];
		struct sg_row *row = is_whole(asked, now_ns) ? row_of(context, asked->flow) : NULL;

		questions->pool.used = place;
		questions->pool.count++;
		if (!row || find(questions, asked->flow, &asked->question)) {
			asked->asks = 0;
			sg_pool_give(&questions->pool, place);
			continue;
		}
		sg_pool_link(&questions->pool, place, hash_of(questions, asked->flow, asked->question.id));
		sg_row_in(row, questions->rows, place);
	}
}
