/* A Vulkan layer that makes the n-th call fail, and counts what is created and destroyed.
 *
 * Every function that Peridot calls and that returns a VkResult is numbered, process-wide and from
 * 1, in the order of the calls. The call numbered fail_at (with ever_after also all later ones) is
 * not passed on: it returns one of the errors that Vulkan allows the function, and leaves junk in
 * what it should have created, as Vulkan allows too. A device that is said to be lost, or on
 * which nothing works any more, has finished its work by then: its objects may be destroyed.
 *
 * It is an implicit layer, since only those see the functions that are called before there is an
 * instance; it is on where PERIDOT_FAULT_LAYER is 1. Tests change its state (fault_layer.h); a
 * program that does not know of it is steered by
 *
 *     PERIDOT_FAULT_CALL         fail_at
 *     PERIDOT_FAULT_EVER_AFTER   1: every later call fails too
 *     PERIDOT_FAULT_HANG         1: from that call on nothing fails, and nothing that is submitted
 *                                is ever finished; who then waits without a limit waits for ever,
 *                                and who knows of it and destroys what may be in use is aborted
 *     PERIDOT_FAULT_WHICH        which error, see fault_state
 *     PERIDOT_FAULT_REPORT       a file for one line when the program ends, for example
 *                                calls 812 failed 1 vkCreateFence -1 leaks 0
 *
 * One instance with one device at a time, which is all that Peridot opens. Here is what decides
 * and counts; the functions are in fault_device.c and fault_instance.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "fault_calls.h"

#include <stdio.h>
#include <stdlib.h>

static fault_state state;

FAULT_EXPORT fault_state *fault_layer_state(void) {
    return &state;
}

/* ---- what is wished and reported by the environment ------------------------------------------ */

static uint32_t number_in(const char *variable) {
    const char *text = getenv(variable);
    return text ? (uint32_t)strtoul(text, NULL, 10) : 0;
}

__attribute__((constructor)) static void read_wish(void) {
    state.fail_at = number_in("PERIDOT_FAULT_CALL");
    state.ever_after = number_in("PERIDOT_FAULT_EVER_AFTER") != 0;
    state.hangs = number_in("PERIDOT_FAULT_HANG") != 0;
    state.which = number_in("PERIDOT_FAULT_WHICH");
}

/* Objects that nobody destroyed before the end leak as much as those that outlive their device. */
__attribute__((destructor)) static void report(void) {
    const char *path = getenv("PERIDOT_FAULT_REPORT");
    FILE *f = path ? fopen(path, "w") : NULL;
    if (!f) return;
    uint32_t n_leaks = state.n_leaks;
    for (int k = 0; k < FAULT_KIND_COUNT; k++) n_leaks += (uint32_t)state.live[k];
    const char *name = state.failed_call;
    fprintf(f, "calls %u failed %u %s %d leaks %u\n", state.n_calls, state.n_failed,
            name ? name : "-", (int)state.failed_result, n_leaks);
    fclose(f);
}

/* ---- the device whose work is to be finished ------------------------------------------------- */

static struct {
    VkDevice handle;
    PFN_vkDeviceWaitIdle wait_idle;
} device;

void fault_watch_device(VkDevice d, PFN_vkDeviceWaitIdle wait_idle) {
    device.handle = d;
    device.wait_idle = wait_idle;
}

static void finish_work(void) {
    if (device.handle) device.wait_idle(device.handle);
}

/* ---- failing --------------------------------------------------------------------------------- */

bool fault_fails(const char *name, const VkResult *results, uint32_t n_results, VkResult *result) {
    uint32_t number = atomic_fetch_add(&state.n_calls, 1) + 1, at = state.fail_at;
    if (at == 0 || number < at || (number > at && !state.ever_after) || state.hangs) return false;
    *result = results[state.which % n_results];
    if (atomic_fetch_add(&state.n_failed, 1) == 0) {
        state.failed_result = *result;
        state.failed_call = name;
    }
    bool named = *result < 0 && *result > -31;
    atomic_fetch_or(&state.failed_results, 1u << (named ? -*result : 31));
    if (*result == VK_ERROR_DEVICE_LOST || state.ever_after) finish_work();
    return true;
}

bool fault_hangs(void) {
    return state.hangs && state.fail_at > 0 && state.n_calls >= state.fail_at;
}

void fault_check_unused(const char *name) {
    if (!fault_hangs() || state.n_timeouts == 0 || strstr(name, "Module")) return;
    fprintf(stderr, "fault layer: %s while the device hangs\n", name);
    abort();
}

/* ---- counting -------------------------------------------------------------------------------- */

void fault_count(fault_kind kind, int n) {
    atomic_fetch_add(&state.live[kind], n);
}

void fault_count_leaks(fault_kind first, fault_kind last, const char *end_of) {
    static const char *const texts[] = {
#define FAULT_KIND_TEXT(name, text) text,
        FAULT_KINDS(FAULT_KIND_TEXT)
#undef FAULT_KIND_TEXT
    };
    for (uint32_t k = first; k <= (uint32_t)last; k++) {
        int n = atomic_exchange(&state.live[k], 0);
        if (n == 0) continue;
        fprintf(stderr, "fault layer: %d %s are left when the %s is destroyed\n", n, texts[k],
                end_of);
        atomic_fetch_add(&state.n_leaks, n > 0 ? (uint32_t)n : 1);
    }
}
