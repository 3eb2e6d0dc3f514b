/* The pool of threads, over POSIX threads.
 *
 * A loop is published in one 64-bit word, the ticket:
 *
 *     bits 63..32  number of the loop      bits 31..0  next item, or CLOSED
 *
 * Whoever moves the ticket forward by compare-and-swap owns the items in between. A thread that
 * wakes late finds another number or no items left and takes nothing, so the caller waits for
 * items and never for sleeping threads. Before a loop's fields are written the ticket is CLOSED
 * under the new number: a thread that saw new fields can then not succeed with an old ticket.
 *
 * Pieces shrink as the loop nears its end (a share of what is left, a multiple of the grain, so
 * that every piece begins at one), which evens out threads of unequal speed.
 *
 * With several NUMA nodes each has a ticket and a share of the items, in proportion to its threads.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/thread.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"

enum {
    NS_BEFORE_SLEEP = 50000,
    SPINS_PER_LOOK = 32, /* at the clock */
    SPINS_BEFORE_YIELD = 1000,
    MAX_THREADS = 4096,
    MAX_BOUND = 1024, /* threads with a core each */
    MAX_SHARES = 16
};
static const uint32_t CLOSED = UINT32_MAX;

typedef struct worker {
    pd_pool *pool;
    uint32_t index, home; /* the share that it begins with */
    bool is_bound;        /* to the core of cpu */
    uint32_t cpu;
    pthread_t thread;
} worker;

/* What threads of one node begin with. */
typedef struct node_share {
    _Alignas(64) _Atomic uint64_t ticket; /* the loop's number, and the next item */
    _Atomic uint32_t end;
    uint32_t node, n_threads;
} node_share;

struct pd_pool {
    uint32_t n_threads, n_shares;
    worker *workers; /* [n_threads]; the caller is thread 0 */
    node_share shares[MAX_SHARES];
    _Alignas(64) _Atomic uint32_t n_done;
    _Alignas(64) _Atomic uint32_t grain;
    _Atomic(pd_pool_fn) fn;
    void *_Atomic ctx;
    _Atomic uint32_t n_sleeping;
    atomic_bool stop;
    pthread_mutex_t lock;
    pthread_cond_t wake;
};

static inline void cpu_relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static uint32_t piece_items(uint32_t left, uint32_t grain, uint32_t n_threads) {
    uint32_t share = left / (n_threads * 4);
    uint32_t piece = share <= grain ? grain : share - share % grain;
    return piece < left ? piece : left;
}

/* All that belongs to a loop is read between its ticket and the exchange, which fails when another
 * has begun. False: nothing is left, or the loop is still to come. */
static bool take_piece(pd_pool *pool, node_share *s, uint32_t thread) {
    uint64_t ticket = atomic_load(&s->ticket);
    uint32_t next = (uint32_t)ticket;
    uint32_t end = atomic_load(&s->end), grain = atomic_load(&pool->grain);
    pd_pool_fn fn = atomic_load(&pool->fn);
    void *ctx = atomic_load(&pool->ctx);
    if (next >= end) return false;
    uint32_t piece = piece_items(end - next, grain, s->n_threads);
    if (!atomic_compare_exchange_strong(&s->ticket, &ticket, ticket + piece)) return true;
    fn(ctx, next, next + piece, thread);
    atomic_fetch_add(&pool->n_done, piece);
    return true;
}

/* Takes pieces of the loop that is open until none is left; returns that loop's number. One that is
 * CLOSED is still to come, so its predecessor's number is returned. */
static uint32_t work(pd_pool *pool, uint32_t thread) {
    uint64_t ticket = atomic_load(&pool->shares[0].ticket);
    for (uint32_t i = 0; i < pool->n_shares; i++) {
        node_share *s = &pool->shares[(pool->workers[thread].home + i) % pool->n_shares];
        while (take_piece(pool, s, thread)) continue;
    }
    return (uint32_t)(ticket >> 32) - ((uint32_t)ticket == CLOSED);
}

/* True when there may be something to do: another loop than `seen`, or the end. */
static bool news(pd_pool *pool, uint32_t seen) {
    uint64_t ticket = atomic_load(&pool->shares[0].ticket); /* opened last */
    bool open = (uint32_t)ticket != CLOSED;
    return (open && (uint32_t)(ticket >> 32) != seen) || atomic_load(&pool->stop);
}

static void sleep_until_news(pd_pool *pool, uint32_t seen) {
    uint64_t end = pd_clock_ns() + NS_BEFORE_SLEEP;
    do {
        for (int i = 0; i < SPINS_PER_LOOK; i++) {
            if (news(pool, seen)) return;
            cpu_relax();
        }
    } while (pd_clock_ns() < end);
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->n_sleeping, 1);
    while (!news(pool, seen)) pthread_cond_wait(&pool->wake, &pool->lock);
    atomic_fetch_sub(&pool->n_sleeping, 1);
    pthread_mutex_unlock(&pool->lock);
}

static void *worker_main(void *arg) {
    worker *w = arg;
    uint32_t seen = 0;
    if (w->is_bound) (void)pd_bind_to_core_of(w->cpu);
    for (;;) {
        sleep_until_news(w->pool, seen);
        if (atomic_load(&w->pool->stop)) return NULL;
        seen = work(w->pool, w->index);
    }
}

static void wake_sleepers(pd_pool *pool) {
    if (atomic_load(&pool->n_sleeping) == 0) return;
    pthread_mutex_lock(&pool->lock);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

/* The share of a node; all beyond MAX_SHARES have the last one. */
static uint32_t share_of_node(pd_pool *pool, uint32_t node) {
    uint32_t i = 0;
    while (i < pool->n_shares && pool->shares[i].node != node) i++;
    if (i < pool->n_shares) return i;
    if (i == MAX_SHARES) return MAX_SHARES - 1;
    pool->shares[i].node = node;
    atomic_store(&pool->shares[i].ticket, CLOSED);
    pool->n_shares++;
    return i;
}

/* cpus: of each thread, when they are bound. */
static pd_status create(uint32_t n_threads, const uint32_t *nodes, const uint32_t *cpus,
                        pd_pool **out, pd_error *err) {
    pd_pool *pool = pd_alloc_aligned(1, sizeof *pool);
    if (pool) pool->workers = pd_alloc(n_threads, sizeof *pool->workers);
    if (!pool || !pool->workers) {
        pd_free_aligned(pool);
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for %u threads", n_threads);
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pool->n_threads = n_threads; /* this and the shares are fixed before any worker reads them */
    for (uint32_t i = 0; i < n_threads; i++) {
        uint32_t home = share_of_node(pool, nodes ? nodes[i] : 0);
        pool->shares[home].n_threads++;
        pool->workers[i] = (worker){.pool = pool, .index = i, .home = home, .is_bound = cpus};
        if (cpus) pool->workers[i].cpu = cpus[i];
    }
    for (uint32_t i = 1; i < n_threads; i++) {
        worker *w = &pool->workers[i];
        int failed = pthread_create(&w->thread, NULL, worker_main, w);
        if (!failed) continue;
        pool->n_threads = i; /* destroy joins those that were started */
        pd_pool_destroy(pool);
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "cannot start thread %u of %u: %s", i + 1,
                        n_threads, strerror(failed));
    }
    *out = pool;
    return PD_OK;
}

pd_status pd_pool_create_on(const uint32_t *nodes, uint32_t n_threads, pd_pool **out,
                            pd_error *err) {
    *out = NULL;
    return create(n_threads, nodes, NULL, out, err);
}

pd_status pd_pool_create(uint32_t n_threads, pd_pool **out, pd_error *err) {
    *out = NULL;
    uint32_t firsts[MAX_BOUND], nodes[MAX_BOUND], n_cores = pd_core_firsts(firsts, MAX_BOUND);
    bool are_known = n_cores > 0 && n_cores <= MAX_BOUND;
    if (n_cores == 0) n_cores = pd_cpu_count();
    if (n_threads == 0) n_threads = n_cores < MAX_THREADS ? n_cores : MAX_THREADS;
    if (n_threads > MAX_THREADS)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "%u threads were asked for, but at most %d can be",
                        n_threads, MAX_THREADS);
    if (!are_known || n_threads != n_cores) return create(n_threads, NULL, NULL, out, err);
    for (uint32_t i = 0; i < n_cores; i++) nodes[i] = pd_node_of(firsts[i]);
    return create(n_threads, nodes, firsts, out, err);
}

void pd_pool_destroy(pd_pool *pool) {
    if (!pool) return;
    atomic_store(&pool->stop, true);
    wake_sleepers(pool);
    for (uint32_t i = 1; i < pool->n_threads; i++) pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    pd_free(pool->workers);
    pd_free_aligned(pool);
}

uint32_t pd_pool_n_threads(const pd_pool *pool) {
    return pool->n_threads;
}

static void wait_done(pd_pool *pool, uint32_t n) {
    for (int spins = 0; atomic_load(&pool->n_done) != n; spins++) {
        if (spins < SPINS_BEFORE_YIELD) {
            cpu_relax();
        } else {
            sched_yield();
        }
    }
}

/* Where the share of the threads after the first `before` ones begins. */
static uint32_t share_begin(uint32_t n, uint32_t grain, uint32_t before, uint32_t n_threads) {
    return (uint32_t)((uint64_t)n * before / n_threads / grain * grain);
}

void pd_pool_run(pd_pool *pool, uint32_t n, uint32_t grain, pd_pool_fn fn, void *ctx) {
    if (n == 0) return;
    if (grain == 0) grain = 1;
    if (pool->n_threads == 1 || n <= grain) {
        fn(ctx, 0, n, 0);
        return;
    }
    uint64_t number = (atomic_load(&pool->shares[0].ticket) >> 32) + 1;
    for (uint32_t i = 0; i < pool->n_shares; i++)
        atomic_store(&pool->shares[i].ticket, number << 32 | CLOSED);
    atomic_store(&pool->fn, fn);
    atomic_store(&pool->ctx, ctx);
    atomic_store(&pool->grain, grain);
    atomic_store(&pool->n_done, 0);
    uint32_t n_threads = pool->n_threads; /* of those whose shares end at `end` or before */
    for (uint32_t i = pool->n_shares, end = n; i-- > 0;) {
        node_share *s = &pool->shares[i];
        n_threads -= s->n_threads;
        uint32_t begin = share_begin(n, grain, n_threads, pool->n_threads);
        atomic_store(&s->end, end);
        atomic_store(&s->ticket, number << 32 | begin);
        end = begin;
    }
    wake_sleepers(pool);
    work(pool, 0);
    wait_done(pool, n);
}
