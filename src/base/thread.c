/* Plain threads, locks and conditions, over POSIX threads.  SPDX-License-Identifier: MIT */
#include "base/thread.h"

#include <pthread.h>
#include <string.h>

#include "base/memory.h"

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
