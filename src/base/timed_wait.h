/* Waiting for a condition for some time, where the system can by a clock that nobody sets.
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_BASE_TIMED_WAIT_H
#define PD_BASE_TIMED_WAIT_H

#include <pthread.h>
#include <stdint.h>

void pd_timed_init(pthread_cond_t *c); /* for the next one */
/* May return without a change, and before the time is over. */
void pd_timed_wait(pthread_cond_t *c, pthread_mutex_t *m, uint64_t ms);

#endif
