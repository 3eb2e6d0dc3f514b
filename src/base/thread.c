/* The pool of threads, plain threads and locks, over POSIX threads.
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
    MAX_BOUND = 1024 /* threads with a core each */
};
static const uint32_t CLOSED = UINT32_MAX;

typedef struct worker {
    pd_pool *pool;
    uint32_t index;
    bool is_bound; /* to the core of cpu */
    uint32_t cpu;
    pthread_t thread;
} worker;

struct pd_pool {
    uint32_t n_threads;
    worker *workers; /* [n_threads - 1]; the caller is thread 0 */
    _Alignas(64) _Atomic uint64_t ticket;
    _Alignas(64) _Atomic uint32_t n_done;
    _Alignas(64) _Atomic uint32_t n, grain;
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

/* Takes pieces of the loop that is open until none is left; returns that loop's number. One that is
 * CLOSED is still to come, so its predecessor's number is returned. */
static uint32_t work(pd_pool *pool, uint32_t thread) {
    for (;;) {
        uint64_t ticket = atomic_load(&pool->ticket);
        uint32_t next = (uint32_t)ticket;
        uint32_t n = atomic_load(&pool->n), grain = atomic_load(&pool->grain);
        pd_pool_fn fn = atomic_load(&pool->fn);
        void *ctx = atomic_load(&pool->ctx);
        if (next >= n) return (uint32_t)(ticket >> 32) - (next == CLOSED);
        uint32_t piece = piece_items(n - next, grain, pool->n_threads);
        if (!atomic_compare_exchange_strong(&pool->ticket, &ticket, ticket + piece)) continue;
        fn(ctx, next, next + piece, thread);
        atomic_fetch_add(&pool->n_done, piece);
    }
}

/* True when there may be something to do: another loop than `seen`, or the end. */
static bool news(pd_pool *pool, uint32_t seen) {
    uint64_t ticket = atomic_load(&pool->ticket);
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

pd_status pd_pool_create(uint32_t n_threads, pd_pool **out, pd_error *err) {
    *out = NULL;
    uint32_t firsts[MAX_BOUND], n_cores = pd_core_firsts(firsts, MAX_BOUND);
    bool is_bound = n_cores > 0 && n_cores <= MAX_BOUND;
    if (n_cores == 0) n_cores = pd_cpu_count();
    if (n_threads == 0) n_threads = n_cores < MAX_THREADS ? n_cores : MAX_THREADS;
    if (n_threads > MAX_THREADS)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "%u threads were asked for, but at most %d can be",
                        n_threads, MAX_THREADS);
    pd_pool *pool = pd_alloc_aligned(1, sizeof *pool);
    if (pool) pool->workers = pd_alloc(n_threads, sizeof *pool->workers);
    if (!pool || !pool->workers) {
        pd_free_aligned(pool);
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for %u threads", n_threads);
    }
    atomic_store(&pool->ticket, CLOSED);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pool->n_threads = n_threads; /* fixed before any worker reads it */
    is_bound = is_bound && n_threads == n_cores;
    for (uint32_t i = 1; i < n_threads; i++) {
        worker *w = &pool->workers[i - 1];
        *w = (worker){.pool = pool, .index = i, .is_bound = is_bound};
        if (is_bound) w->cpu = firsts[i];
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

void pd_pool_destroy(pd_pool *pool) {
    if (!pool) return;
    atomic_store(&pool->stop, true);
    wake_sleepers(pool);
    for (uint32_t i = 1; i < pool->n_threads; i++) pthread_join(pool->workers[i - 1].thread, NULL);
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

void pd_pool_run(pd_pool *pool, uint32_t n, uint32_t grain, pd_pool_fn fn, void *ctx) {
    if (n == 0) return;
    if (grain == 0) grain = 1;
    if (pool->n_threads == 1 || n <= grain) {
        fn(ctx, 0, n, 0);
        return;
    }
    uint64_t number = (atomic_load(&pool->ticket) >> 32) + 1;
    atomic_store(&pool->ticket, number << 32 | CLOSED);
    atomic_store(&pool->fn, fn);
    atomic_store(&pool->ctx, ctx);
    atomic_store(&pool->n, n);
    atomic_store(&pool->grain, grain);
    atomic_store(&pool->n_done, 0);
    atomic_store(&pool->ticket, number << 32);
    wake_sleepers(pool);
    work(pool, 0);
    wait_done(pool, n);
}

struct pd_thread {
    pthread_t thread;
    void (*fn)(void *ctx);
    void *ctx;
};

static void *thread_main(void *arg) {
    pd_thread *t = arg;
    t->fn(t->ctx);
    return NULL;
}

pd_status pd_thread_start(void (*fn)(void *ctx), void *ctx, pd_thread **out, pd_error *err) {
    *out = NULL;
    pd_thread *t = pd_alloc(1, sizeof *t);
    if (!t) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for a thread");
    t->fn = fn;
    t->ctx = ctx;
    int failed = pthread_create(&t->thread, NULL, thread_main, t);
    if (failed) {
        pd_free(t);
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "cannot start a thread: %s", strerror(failed));
    }
    *out = t;
    return PD_OK;
}

void pd_thread_join(pd_thread *t) {
    if (!t) return;
    pthread_join(t->thread, NULL);
    pd_free(t);
}

struct pd_mutex {
    pthread_mutex_t lock;
};

pd_mutex *pd_mutex_create(void) {
    pd_mutex *m = pd_alloc(1, sizeof *m);
    if (m) pthread_mutex_init(&m->lock, NULL);
    return m;
}

void pd_mutex_destroy(pd_mutex *m) {
    if (!m) return;
    pthread_mutex_destroy(&m->lock);
    pd_free(m);
}

void pd_mutex_lock(pd_mutex *m) {
    pthread_mutex_lock(&m->lock);
}

void pd_mutex_unlock(pd_mutex *m) {
    pthread_mutex_unlock(&m->lock);
}

struct pd_condition {
    pthread_cond_t changed;
};

pd_condition *pd_condition_create(void) {
    pd_condition *c = pd_alloc(1, sizeof *c);
    if (c) pthread_cond_init(&c->changed, NULL);
    return c;
}

void pd_condition_destroy(pd_condition *c) {
    if (!c) return;
    pthread_cond_destroy(&c->changed);
    pd_free(c);
}

void pd_condition_wait(pd_condition *c, pd_mutex *m) {
    pthread_cond_wait(&c->changed, &m->lock);
}

void pd_condition_wake(pd_condition *c) {
    pthread_cond_broadcast(&c->changed);
}
