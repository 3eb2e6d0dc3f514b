/* A lock that is given in the order in which it was asked for.  SPDX-License-Identifier: MIT */
#ifndef PD_BASE_TURNS_H
#define PD_BASE_TURNS_H

#include <stdbool.h>

typedef struct pd_turns pd_turns;

pd_turns *pd_turns_create(void);    /* NULL: no memory */
void pd_turns_destroy(pd_turns *t); /* nobody has it or waits; NULL is allowed */

/* Waits for the turn. False: this thread has it already, and nothing has changed. */
bool pd_turns_take(pd_turns *t);
void pd_turns_give(pd_turns *t);
bool pd_turns_are_wanted(pd_turns *t); /* somebody waits for whoever has it */

#endif
