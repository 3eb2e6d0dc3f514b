/* Tickets: whoever holds the one that is served goes on.  SPDX-License-Identifier: MIT */
#include "base/turns.h"

#include <pthread.h>
#include <stdint.h>

#include "base/memory.h"

struct pd_turns {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t next;   /* ticket of who comes next */
    uint64_t served; /* ... of who has the turn, or may have it */
    bool taken;
    pthread_t owner; /* where taken */
};

pd_turns *pd_turns_create(void) {
    pd_turns *t = pd_alloc(1, sizeof *t);
    if (!t) return NULL;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
    return t;
}

void pd_turns_destroy(pd_turns *t) {
    if (!t) return;
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    pd_free(t);
}

bool pd_turns_take(pd_turns *t) {
    pthread_mutex_lock(&t->lock);
    bool mine = t->taken && pthread_equal(t->owner, pthread_self());
    if (!mine) {
        uint64_t ticket = t->next++;
        while (t->served != ticket) pthread_cond_wait(&t->changed, &t->lock);
        t->taken = true;
        t->owner = pthread_self();
    }
    pthread_mutex_unlock(&t->lock);
    return !mine;
}

bool pd_turns_are_wanted(pd_turns *t) {
    pthread_mutex_lock(&t->lock);
    bool wanted = t->next > t->served + 1;
    pthread_mutex_unlock(&t->lock);
    return wanted;
}

void pd_turns_give(pd_turns *t) {
    pthread_mutex_lock(&t->lock);
    t->taken = false;
    t->served++;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}
