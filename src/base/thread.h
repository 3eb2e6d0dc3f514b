/* A pool of threads that run one loop at a time (pool.c); plain threads and locks (thread.c).
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_BASE_THREAD_H
#define PD_BASE_THREAD_H

#include <stdint.h>

#include "base/cores.h"
#include "base/error.h"

typedef struct pd_pool pd_pool;

/* fn(ctx, begin, end, thread): handle items [begin, end); thread in 0..n_threads-1. */
typedef void (*pd_pool_fn)(void *ctx, uint32_t begin, uint32_t end, uint32_t thread);

/* n_threads counts the caller, who works too; 0: pd_core_count(). As many threads as there are
 * cores stay each on its own, but for the caller, whose thread is not ours to bind. */
pd_status pd_pool_create(uint32_t n_threads, pd_pool **out, pd_error *err);
/* The same with n_threads threads that nothing binds, thread i near to node nodes[i]. */
pd_status pd_pool_create_on(const uint32_t *nodes, uint32_t n_threads, pd_pool **out,
                            pd_error *err);
void pd_pool_destroy(pd_pool *pool);
uint32_t pd_pool_n_threads(const pd_pool *pool);

/* Runs fn over [0, n) in pieces of at least `grain` items (the last may be shorter), each beginning
 * at a multiple of it, and returns when all are done. Pieces are taken from a shared counter; which
 * thread gets which, and how many there are, differs from run to run. Where threads stay on cores
 * of several NUMA nodes each node has a counter and its share of [0, n), the same for every loop of
 * that length: what a loop wrote first is near to those who read it in another. Who has finished
 * the share of their node help with the next. One caller at a time. Workers spin for up to 50
 * microseconds before they sleep, since the next loop usually follows sooner. */
void pd_pool_run(pd_pool *pool, uint32_t n, uint32_t grain, pd_pool_fn fn, void *ctx);

/* A plain thread, for work beside the main one (pipeline creation, uploads). */
typedef struct pd_thread pd_thread;
pd_status pd_thread_start(void (*fn)(void *ctx), void *ctx, pd_thread **out, pd_error *err);
void pd_thread_join(pd_thread *t); /* NULL is allowed */

typedef struct pd_mutex pd_mutex;
pd_mutex *pd_mutex_create(void);
void pd_mutex_destroy(pd_mutex *m);
void pd_mutex_lock(pd_mutex *m);
void pd_mutex_unlock(pd_mutex *m);

/* Where threads wait for a change of what a mutex guards. */
typedef struct pd_condition pd_condition;
pd_condition *pd_condition_create(void); /* NULL: no memory */
void pd_condition_destroy(pd_condition *c);
/* The mutex is the caller's, and free while it waits. May return without a change. */
void pd_condition_wait(pd_condition *c, pd_mutex *m);
void pd_condition_wake(pd_condition *c); /* all that wait */

#endif
