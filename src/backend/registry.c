/* The families of backends behind one list, and the choice among their devices.
 *
 *     wish              means
 *     (none)            the best real GPU, else "cpu"
 *     cpu, cpu-ref      the CPU backends
 *     vulkan            the best real GPU
 *     vulkan:N          the N-th Vulkan device, whatever it is
 *     vulkan:TEXT       the one Vulkan device whose name or UUID holds TEXT
 *     TEXT              the same
 *
 * Best: discrete before integrated before virtual, then the larger memory, then the loader's order.
 * A Vulkan driver that runs on the CPU is never the best: it is slower than "cpu" and would hide a
 * missing GPU driver. Letter case does not matter. Names are never guessed: a text that fits two
 * devices, or none, is an error which lists them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/registry.h"

#include <ctype.h>
#include <string.h>

#include "backend/backend.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/words.h"

enum { N_CPU = 2 };

/* ---- the list ------------------------------------------------------------------------------ */

static pd_status list_vulkan(pd_device_info *out, uint32_t cap, uint32_t *count, const char **note,
                             pd_error *err) {
#ifdef PERIDOT_HAS_VULKAN
    return pd_vulkan_list(out, cap, count, note, err);
#else
    (void)out, (void)cap, (void)err;
    *count = 0;
    *note = "this build has no Vulkan backend";
    return PD_OK;
#endif
}

pd_status pd_device_list(pd_device_info *out, uint32_t cap, uint32_t *count,
                         const char **vulkan_note, pd_error *err) {
    const char *note = NULL;
    PD_NEED(err, count);
    *count = 0;
    if (cap > 0) PD_NEED(err, out);
    uint32_t n_vulkan = 0, n_cpu = cap < N_CPU ? cap : N_CPU;
    for (uint32_t i = 0; i < n_cpu; i++) pd_cpu_describe(i == 1, &out[i]);
    PD_TRY(list_vulkan(cap > N_CPU ? out + N_CPU : NULL, cap - n_cpu, &n_vulkan, &note, err));
    *count = N_CPU + n_vulkan;
    if (vulkan_note) *vulkan_note = note;
    return PD_OK;
}

/* All devices in fresh memory (pd_free). */
static pd_status list_all(pd_device_info **list, uint32_t *n, const char **note, pd_error *err) {
    uint32_t count = 0;
    PD_TRY(pd_device_list(NULL, 0, &count, note, err));
    *list = pd_alloc(count, sizeof **list);
    if (!*list) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory to list the devices");
    pd_status status = pd_device_list(*list, count, n, note, err);
    if (*n > count) *n = count; /* one was plugged in meanwhile */
    if (status != PD_OK) pd_free(*list);
    return status;
}

/* ---- the choice ---------------------------------------------------------------------------- */

static bool is_vulkan(const pd_device_info *d) {
    return d->kind >= PD_DEVICE_GPU_DISCRETE;
}

static int rank_of(const pd_device_info *d) {
    if (!d->usable) return 0;
    switch (d->kind) {
    case PD_DEVICE_GPU_DISCRETE: return 3;
    case PD_DEVICE_GPU_INTEGRATED: return 2;
    case PD_DEVICE_GPU_VIRTUAL: return 1;
    default: return 0;
    }
}

static bool best_gpu(const pd_device_info *list, uint32_t n, uint32_t *index) {
    int best = 0;
    for (uint32_t i = 0; i < n; i++) {
        int rank = rank_of(&list[i]);
        bool better = rank > best || (rank > 0 && rank == best &&
                                      list[i].memory_bytes > list[*index].memory_bytes);
        if (!better) continue;
        best = rank;
        *index = i;
    }
    return best > 0;
}

static bool find_id(const pd_device_info *list, uint32_t n, const char *id, uint32_t *index) {
    for (uint32_t i = 0; i < n; i++)
        if (pd_same_in_any_case(list[i].id, id)) {
            *index = i;
            return true;
        }
    return false;
}

static bool matches(const pd_device_info *d, const char *text) {
    return is_vulkan(d) &&
           (pd_find_in_any_case(d->name, text) || pd_find_in_any_case(d->uuid, text));
}

static bool matches_wholly(const pd_device_info *d, const char *text) {
    return is_vulkan(d) &&
           (pd_same_in_any_case(d->name, text) || pd_same_in_any_case(d->uuid, text));
}

typedef bool (*match_fn)(const pd_device_info *d, const char *text);

static uint32_t count_matches(const pd_device_info *list, uint32_t n, const char *text,
                              match_fn fits, uint32_t *last) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (!fits(&list[i], text)) continue;
        count++;
        *last = i;
    }
    return count;
}

static void write_list(pd_bytes *out, const pd_device_info *list, uint32_t n, const char *text) {
    const char *separator = "";
    for (uint32_t i = 0; i < n; i++) {
        if (text && !matches(&list[i], text)) continue;
        pd_bytes_printf(out, "%s%s", separator, list[i].id);
        if (is_vulkan(&list[i])) pd_bytes_printf(out, " (%s)", list[i].name);
        separator = ", ";
    }
}

static pd_status raise_none(const char *what, const pd_device_info *list, uint32_t n,
                            const char *note, pd_error *err) {
    pd_bytes all = {0};
    write_list(&all, list, n, NULL);
    pd_status status = PD_RAISE(err, PD_ERR_NO_DEVICE, "%s; there are %s%s%s%s", what,
                                all.data ? all.data : "none", note ? " (no Vulkan device: " : "",
                                note ? note : "", note ? ")" : "");
    pd_bytes_free(&all);
    return status;
}

static pd_status choose_by_text(const char *wish, const char *text, const pd_device_info *list,
                                uint32_t n, const char *note, uint32_t *index, pd_error *err) {
    if (text[0] && count_matches(list, n, text, matches_wholly, index) == 1) return PD_OK;
    uint32_t count = text[0] ? count_matches(list, n, text, matches, index) : 0;
    if (count == 1) return PD_OK;
    pd_bytes sentence = {0};
    pd_status status;
    if (count == 0) {
        pd_bytes_printf(&sentence, "no device is called \"%s\"", wish);
        status = raise_none(sentence.data ? sentence.data : "no such device", list, n, note, err);
    } else {
        write_list(&sentence, list, n, text);
        status = PD_RAISE(err, PD_ERR_NO_DEVICE, "\"%s\" fits %u devices: %s", wish, count,
                          sentence.data ? sentence.data : "");
        status = pd_error_hint(err, status, "name one by its id, as in --device vulkan:0");
    }
    pd_bytes_free(&sentence);
    return status;
}

static bool is_number(const char *text) {
    return text[0] && strspn(text, "0123456789") == strlen(text);
}

static pd_status choose(const char *wish, const pd_device_info *list, uint32_t n, const char *note,
                        uint32_t *index, pd_error *err) {
    const size_t n_prefix = strlen("vulkan:");
    bool prefixed = wish && pd_same_n_in_any_case(wish, "vulkan:", n_prefix);
    if (!wish || !wish[0]) {
        if (best_gpu(list, n, index) || find_id(list, n, "cpu", index)) return PD_OK;
        return raise_none("no device can be used", list, n, note, err);
    }
    if (pd_same_in_any_case(wish, "vulkan")) {
        if (best_gpu(list, n, index)) return PD_OK;
        return raise_none("no GPU can be used through Vulkan", list, n, note, err);
    }
    if (find_id(list, n, wish, index)) return PD_OK;
    const char *text = prefixed ? wish + n_prefix : wish;
    if (prefixed && is_number(text)) {
        pd_bytes sentence = {0};
        pd_bytes_printf(&sentence, "there is no device %s", wish);
        pd_status status =
            raise_none(sentence.data ? sentence.data : "no such device", list, n, note, err);
        pd_bytes_free(&sentence);
        return status;
    }
    return choose_by_text(wish, text, list, n, note, index, err);
}

pd_status pd_device_choose(const char *wish, const pd_device_info *list, uint32_t n,
                           const char *vulkan_note, uint32_t *index, pd_error *err) {
    *index = 0;
    PD_TRY(choose(wish, list, n, vulkan_note, index, err));
    if (list[*index].usable) return PD_OK;
    return PD_RAISE(err, PD_ERR_NO_DEVICE, "%s (%s) cannot be used: %s", list[*index].id,
                    list[*index].name, list[*index].unusable_reason);
}

/* Why nobody's wish and no GPU led to the CPU. */
static void log_fallback(const pd_device_info *list, uint32_t n, const char *note) {
    pd_bytes why = {0};
    if (note) pd_bytes_printf(&why, "; %s", note);
    for (uint32_t i = 0; i < n; i++) {
        if (!is_vulkan(&list[i])) continue;
        bool software = list[i].kind == PD_DEVICE_SOFTWARE && list[i].usable;
        pd_bytes_printf(&why, "; %s (%s) %s%s", list[i].id, list[i].name,
                        software ? "is used only when it is named" : "cannot be used: ",
                        software ? "" : list[i].unusable_reason);
    }
    pd_log(PD_LOG_INFO, "device", "no GPU can be used, so the CPU is%s",
           why.failed || !why.data ? "" : why.data);
    pd_bytes_free(&why);
}

/* ---- opening ------------------------------------------------------------------------------- */

static pd_status open_vulkan(uint32_t index, const pd_backend_desc *desc, pd_backend **out,
                             pd_error *err) {
#ifdef PERIDOT_HAS_VULKAN
    return pd_vulkan_open(index, desc, out, err);
#else
    (void)index, (void)desc, (void)out;
    return PD_RAISE(err, PD_ERR_NO_DEVICE, "this build has no Vulkan backend");
#endif
}

pd_status pd_backend_open(const pd_backend_desc *desc, pd_backend **out, pd_error *err) {
    const char *wish = desc->device, *note = NULL;
    pd_device_info *list = NULL;
    uint32_t n = 0, index = 0;
    *out = NULL;
    /* The CPU needs no look at the GPUs, which can take a second. */
    if (wish && pd_same_in_any_case(wish, "cpu")) return pd_cpu_open(false, desc, out, err);
    if (wish && pd_same_in_any_case(wish, "cpu-ref")) return pd_cpu_open(true, desc, out, err);
    pd_status status = list_all(&list, &n, &note, err);
    if (status != PD_OK) return status;
    status = pd_device_choose(wish, list, n, note, &index, err);
    if (status == PD_OK) {
        if (!(wish && wish[0]) && !is_vulkan(&list[index])) log_fallback(list, n, note);
        pd_log(PD_LOG_INFO, "device", "%s: %s", list[index].id, list[index].name);
        if (is_vulkan(&list[index]))
            status = open_vulkan(index - N_CPU, desc, out, err);
        else
            status = pd_cpu_open(list[index].kind == PD_DEVICE_CPU_REFERENCE, desc, out, err);
    }
    pd_free(list);
    return status;
}
