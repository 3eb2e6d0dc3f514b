/* The pool: every item exactly once, pieces at multiples of the grain, loops back to back, sleeping
 * in between; plain threads and locks.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdatomic.h>
#include <cmocka.h>

#include <unistd.h>

#include "base/memory.h"
#include "base/thread.h"

enum { MAX_ITEMS = 5000 };

typedef struct loop {
    atomic_uint hits[MAX_ITEMS];
    atomic_uint n_bad;
    uint32_t n, grain, n_threads;
} loop;

static void visit(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    loop *l = ctx;
    bool short_piece = end - begin < l->grain && end != l->n;
    if (begin >= end || end > l->n || begin % l->grain != 0 || short_piece ||
        thread >= l->n_threads)
        atomic_fetch_add(&l->n_bad, 1);
    for (uint32_t i = begin; i < end && i < l->n; i++) atomic_fetch_add(&l->hits[i], 1);
}

static void run_loop(pd_pool *pool, loop *l, uint32_t n, uint32_t grain) {
    for (uint32_t i = 0; i < MAX_ITEMS; i++) atomic_store(&l->hits[i], 0);
    l->n = n;
    l->grain = grain;
    l->n_threads = pd_pool_n_threads(pool);
    pd_pool_run(pool, n, grain, visit, l);
    for (uint32_t i = 0; i < MAX_ITEMS; i++) assert_int_equal(atomic_load(&l->hits[i]), i < n);
    assert_int_equal(atomic_load(&l->n_bad), 0);
}

static void test_every_item_once(void **state) {
    (void)state;
    static const uint32_t items[] = {0, 1, 2, 3, 7, 64, 1000, 4999, 5000};
    static const uint32_t grains[] = {1, 3, 32, 4096, 6000};
    static loop l;
    for (uint32_t n_threads = 1; n_threads <= 5; n_threads++) {
        pd_pool *pool;
        assert_int_equal(pd_pool_create(n_threads, &pool, NULL), PD_OK);
        assert_int_equal(pd_pool_n_threads(pool), n_threads);
        for (size_t i = 0; i < sizeof items / sizeof items[0]; i++)
            for (size_t k = 0; k < sizeof grains / sizeof grains[0]; k++)
                run_loop(pool, &l, items[i], grains[k]);
        pd_pool_destroy(pool);
    }
}

/* Of every number of nodes, more than a pool tells apart too, and of unequal numbers of threads. */
static void test_shares_of_nodes(void **state) {
    (void)state;
    static const uint32_t nodes[][5] = {{0, 0, 1, 1, 1}, {3, 1, 2, 1, 0}, {7, 7, 7, 7, 2}};
    static const uint32_t items[] = {1, 2, 5, 64, 999, 5000}, grains[] = {1, 3, 32, 4096};
    static loop l;
    for (size_t k = 0; k < sizeof nodes / sizeof nodes[0]; k++) {
        pd_pool *pool;
        assert_int_equal(pd_pool_create_on(nodes[k], 5, &pool, NULL), PD_OK);
        for (size_t i = 0; i < sizeof items / sizeof items[0]; i++)
            for (size_t j = 0; j < sizeof grains / sizeof grains[0]; j++)
                run_loop(pool, &l, items[i], grains[j]);
        pd_pool_destroy(pool);
    }
    uint32_t many[20];
    pd_pool *pool;
    for (uint32_t i = 0; i < 20; i++) many[i] = i;
    assert_int_equal(pd_pool_create_on(many, 20, &pool, NULL), PD_OK);
    run_loop(pool, &l, 5000, 3);
    pd_pool_destroy(pool);
}

/* Who took an item, when all threads wait for each other before they take a second piece. */
typedef struct takers {
    atomic_uint n_there;
    uint32_t n_threads;
    uint32_t of[MAX_ITEMS];
    atomic_bool has_begun[8];
} takers;

static void note_taker(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    takers *t = ctx;
    for (uint32_t i = begin; i < end; i++) t->of[i] = thread;
    if (atomic_exchange(&t->has_begun[thread], true)) return;
    atomic_fetch_add(&t->n_there, 1);
    while (atomic_load(&t->n_there) < t->n_threads) usleep(100);
}

/* The first piece of a node's share goes to one of its threads, in every loop of the length. */
static void test_nodes_begin_with_their_share(void **state) {
    (void)state;
    static const uint32_t nodes[4] = {0, 1, 1, 1};
    pd_pool *pool;
    assert_int_equal(pd_pool_create_on(nodes, 4, &pool, NULL), PD_OK);
    for (int round = 0; round < 20; round++) {
        static takers t;
        t = (takers){.n_threads = 4};
        pd_pool_run(pool, 4000, 1, note_taker, &t);
        assert_int_equal(nodes[t.of[0]], 0);
        assert_int_equal(nodes[t.of[1000]], 1);
    }
    pd_pool_destroy(pool);
}

static void add_one(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    (void)thread;
    uint32_t *values = ctx;
    for (uint32_t i = begin; i < end; i++) values[i]++; /* plain memory: run must synchronise */
}

static void test_loops_back_to_back(void **state) {
    (void)state;
    enum { N = 37, LOOPS = 3000 };
    uint32_t values[N] = {0};
    pd_pool *pool;
    assert_int_equal(pd_pool_create(3, &pool, NULL), PD_OK);
    for (int i = 0; i < LOOPS; i++) {
        pd_pool_run(pool, N, 1, add_one, values);
        if (i % 1000 == 999) usleep(20000); /* long enough for the workers to sleep */
    }
    for (int i = 0; i < N; i++) assert_int_equal(values[i], LOOPS);
    pd_pool_destroy(pool);
}

static void test_pool_edges(void **state) {
    (void)state;
    pd_pool *pool;
    assert_true(pd_cpu_count() >= 1);
    assert_int_equal(pd_pool_create(0, &pool, NULL), PD_OK);
    assert_int_equal(pd_pool_n_threads(pool), pd_core_count());
    pd_pool_destroy(pool); /* never ran */
    pd_pool_destroy(NULL);
}

/* A thread of its own, whose processors may be changed. */
static void bind_to_last(void *ctx) {
    uint32_t *bound = ctx, firsts[1024], n = pd_core_firsts(firsts, 1024), now;
    if (n == 0 || n > 1024) return;
    *bound = pd_bind_to_core_of(firsts[n - 1]);
    assert_int_equal(*bound, 1);
#ifdef __linux__ /* where it is asked what the thread may, and not the process */
    assert_int_equal(pd_core_firsts(&now, 1), 1);
    assert_int_equal(now, firsts[n - 1]);
    if (n > 1) assert_false(pd_bind_to_core_of(firsts[0])); /* it may not run there any more */
#else
    (void)now;
#endif
}

static void test_cores(void **state) {
    (void)state;
    uint32_t n_cpus = pd_cpu_count(), n_cores = pd_core_count(), bound = 0;
    pd_thread *t;
    assert_in_range(n_cores, 1, n_cpus);
    assert_int_equal(pd_thread_start(bind_to_last, &bound, &t, NULL), PD_OK);
    pd_thread_join(t);
    if (!bound) print_message("this system does not tell which processors share a core\n");
    assert_int_equal(pd_cpu_count(), n_cpus); /* the other thread's alone */
}

typedef struct shared {
    pd_mutex *lock;
    uint32_t n;
} shared;

static void count_up(void *ctx) {
    shared *s = ctx;
    for (int i = 0; i < 10000; i++) {
        pd_mutex_lock(s->lock);
        s->n++;
        pd_mutex_unlock(s->lock);
    }
}

static void test_threads_and_locks(void **state) {
    (void)state;
    shared s = {.lock = pd_mutex_create()};
    pd_thread *threads[3];
    assert_non_null(s.lock);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pd_thread_start(count_up, &s, &threads[i], NULL), PD_OK);
    for (int i = 0; i < 3; i++) pd_thread_join(threads[i]);
    assert_int_equal(s.n, 30000);
    pd_thread_join(NULL);
    pd_mutex_destroy(s.lock);
    pd_mutex_destroy(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_item_once),
        cmocka_unit_test(test_shares_of_nodes),
        cmocka_unit_test(test_nodes_begin_with_their_share),
        cmocka_unit_test(test_loops_back_to_back),
        cmocka_unit_test(test_pool_edges),
        cmocka_unit_test(test_cores),
        cmocka_unit_test(test_threads_and_locks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
