/* Every Vulkan call fails once: the n-th of opening a model, of making a session, of a prompt, of a
 * chain of generated tokens, of scoring, of an image, for every n (layer/fault_layer.c).
 *
 * Each time the library must return the status that fits the error with a sentence, or do without
 * what it could not have; it must neither crash nor hang; no Vulkan object may be left; and unless
 * the device was lost the same objects, else new ones in the same process, must compute the same
 * bits as before. Then the same with every later call failing too.
 *
 * On llvmpipe, which lives in this process: skipped where it is not. Some walks take every call
 * only with PERIDOT_TEST_LONG set, and some of them else.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE /* dl_iterate_phdr */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <dlfcn.h>
#include <math.h>

#include "base/clock.h"
#include "base/env.h"
#include "base/error.h"
#include "engine/model.h"
#include "fault/support_drivers.h"
#include "fault/support_fault.h"
#include "fault_layer.h"
#include "peridot_measure.h"
#include "support_golden.h"
#include "support_sparse.h"

#define TEXT_MODEL  GOLDEN("small-q4_0.gguf")
#define IMAGE_MODEL GOLDEN("mm-q4_0.gguf")
#define MMPROJ      GOLDEN("mm-mmproj.gguf")

enum { N_CTX = 64, N_CHUNK = 8, N_PROMPT = 11, N_GENERATED = 12, MAX_VOCAB = 1024 };

static const uint32_t prompt[N_PROMPT] = {2, 301, 17, 88, 402, 5, 260, 33, 519, 44, 7};
static const char llvmpipe[] = "vulkan:llvmpipe";
static const pd_session_desc session_desc = {.n_ctx = N_CTX, .n_chunk = N_CHUNK};
static const pd_session_desc score_desc = {.n_ctx = N_CTX, .n_chunk = N_CHUNK, .all_logits = true};

static fault_state *layer;
static fault_layer_covers_fn covers;

/* What a stage works on, and what it computes. */
typedef struct world {
    pd_model *model;
    pd_session *session;
    uint32_t n_tokens, tokens[N_GENERATED];
    uint32_t n_values;
    float values[1 << 14]; /* logits, log-probabilities, rows of an image */
} world;

static world now, before; /* `before` holds what a stage computed while nothing failed */

/* ---- opening and closing --------------------------------------------------------------------- */

static pd_status open_model(world *w, const char *path, const char *mmproj,
                            const pd_session_desc *announced, pd_error *err) {
    pd_model_desc desc = {.device = llvmpipe, .mmproj = mmproj, .session = *announced};
    return pd_model_open(path, &desc, &w->model, err);
}

static pd_status open_text(world *w, pd_error *err) {
    return open_model(w, TEXT_MODEL, NULL, &session_desc, err);
}

static void close_all(world *w) {
    pd_session_destroy(w->session);
    pd_model_close(w->model);
    w->session = NULL;
    w->model = NULL;
}

static pd_status open_session(world *w, pd_error *err) {
    PD_TRY(open_text(w, err));
    return pd_session_create(w->model, &session_desc, &w->session, err);
}

static pd_status open_scored(world *w, pd_error *err) {
    PD_TRY(open_model(w, TEXT_MODEL, NULL, &score_desc, err));
    return pd_session_create(w->model, &score_desc, &w->session, err);
}

static pd_status open_prompted(world *w, pd_error *err) {
    PD_TRY(open_session(w, err));
    return pd_session_sync(w->session, prompt, N_PROMPT, err);
}

static pd_status open_images(world *w, pd_error *err) {
    return open_model(w, IMAGE_MODEL, MMPROJ, &session_desc, err);
}

static pd_status open_nothing(world *w, pd_error *err) {
    (void)w, (void)err;
    return PD_OK;
}

/* ---- what is done while calls fail ----------------------------------------------------------- */

static pd_status take_logits(world *w, pd_error *err) {
    const float *logits;
    PD_TRY(pd_session_logits(w->session, &logits, err));
    w->n_values = pd_model_get_info(w->model)->n_vocab;
    memcpy(w->values, logits, w->n_values * sizeof *logits);
    return PD_OK;
}

static pd_status list_devices(world *w, pd_error *err) {
    static pd_device_info info[8];
    (void)w;
    uint32_t n;
    return pd_device_list(info, 8, &n, NULL, err);
}

static pd_status open_and_close(world *w, pd_error *err) {
    pd_status status = open_text(w, err);
    close_all(w);
    return status;
}

static pd_status open_and_close_images(world *w, pd_error *err) {
    pd_status status = open_images(w, err);
    close_all(w);
    return status;
}

/* Nothing of it was built beforehand: the model expects another session. */
static pd_status make_session(world *w, pd_error *err) {
    pd_session *s;
    PD_TRY(pd_session_create(w->model, &score_desc, &s, err));
    pd_session_destroy(s);
    return PD_OK;
}

/* From nearly the first token on, and always in the same chunks. */
static pd_status sync_anew(world *w, pd_error *err) {
    const uint32_t other[2] = {2, 9};
    PD_TRY(pd_session_sync(w->session, other, 2, err));
    return pd_session_sync(w->session, prompt, N_PROMPT, err);
}

static pd_status read_prompt(world *w, pd_error *err) {
    PD_TRY(sync_anew(w, err));
    return take_logits(w, err);
}

static bool keep_token(void *ctx, uint32_t id) {
    world *w = ctx;
    w->tokens[w->n_tokens++] = id;
    return true;
}

static pd_status generate(world *w, pd_error *err) {
    pd_sampler sampler;
    pd_generate_desc desc = {
        .n_max = N_GENERATED, .ignore_stop = true, .fn = keep_token, .fn_ctx = w};
    w->n_tokens = 0;
    PD_TRY(pd_sampler_init(&sampler, &(pd_sampler_desc){.temp = 1, .top_k = 64, .seed = 3}, err));
    PD_TRY(sync_anew(w, err));
    PD_TRY(pd_session_generate(w->session, &sampler, &desc, err));
    return take_logits(w, err);
}

static pd_status score(world *w, pd_error *err) {
    w->n_values = N_PROMPT - 1;
    return pd_session_log_probs(w->session, prompt, N_PROMPT, 0, w->values, NULL, err);
}

static bool ignore_op(void *ctx, const pd_profile_op *op) {
    (void)ctx, (void)op;
    return true;
}

static pd_status profile(world *w, pd_error *err) {
    return pd_session_profile(w->session, ignore_op, NULL, err);
}

static pd_status encode_image(world *w, pd_error *err) {
    static float chw[3 * 896 * 896];
    const pd_vision_info *v = pd_model_get_vision(w->model);
    uint32_t n_pixels = 3 * v->image_size * v->image_size;
    assert_true(n_pixels <= sizeof chw / sizeof *chw);
    for (uint32_t i = 0; i < n_pixels; i++) chw[i] = (float)(i % 97) / 48 - 1;
    w->n_values = v->n_tokens * v->n_embd_out;
    assert_true(w->n_values <= sizeof w->values / sizeof *w->values);
    return pd_model_embed_pixels(w->model, chw, w->values, err);
}

static pd_status measure(world *w, pd_error *err) {
    pd_device_speed speed;
    return pd_model_measure(w->model, &speed, err);
}

/* A page to a store that grows then, and back. */
static pd_status grow_pages(world *w, pd_error *err) {
    static const bool global = true;
    static float page[2 * 64 * 32] = {1, 2, 3};
    pd_backend *b = w->model->backend;
    pd_kv_store *kv;
    PD_TRY(b->v->kv_create(b, &(pd_kv_store_desc){{1, 1, 1, 32, true, &global}, 1, 1}, &kv, err));
    pd_status status = b->v->kv_write(b, kv, true, 0, page, err);
    if (status == PD_OK) status = b->v->kv_grow(b, kv, 2, 1, err);
    if (status == PD_OK) status = b->v->kv_read(b, kv, true, 0, w->values, err);
    w->n_values = sizeof page / sizeof *page;
    b->v->kv_destroy(b, kv);
    return status;
}

/* ---- what to expect -------------------------------------------------------------------------- */

static bool is_among(const char *name, const char *const *list) {
    for (; *list; list++)
        if (strcmp(name, *list) == 0) return true;
    return false;
}

/* Peridot does without what these would give, or tries again later. */
static bool may_do_without(const char *call) {
    static const char *const list[] = {
        "vkEnumerateInstanceExtensionProperties", /* portability drivers are not asked for */
        "vkEnumerateDeviceExtensionProperties",   /* nor are optional features */
        "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR",
        "vkCreatePipelineCache", /* with what was kept: then without it */
        "vkGetPipelineCacheData",
        /* built in the background: then once more by whoever needs them */
        "vkCreateDescriptorSetLayout", "vkCreatePipelineLayout", "vkCreateShaderModule",
        "vkCreateComputePipelines", "vkDeviceWaitIdle", NULL};
    return is_among(call, list);
}

/* A driver that fails to list its devices is one that has none: the CPU stays usable. Where all
 * later calls fail, these do. */
static bool is_of_listing(const char *call) {
    static const char *const list[] = {"vkCreateInstance", "vkEnumeratePhysicalDevices",
                                       "vkEnumerateInstanceVersion", NULL};
    return is_among(call, list) || (layer->ever_after && strncmp(call, "vkEnumerate", 11) == 0);
}

static pd_status status_of(VkResult result) {
    switch (result) {
    case VK_ERROR_DEVICE_LOST: return PD_ERR_DEVICE_LOST;
    case VK_ERROR_OUT_OF_HOST_MEMORY: return PD_ERR_MEMORY_HOST;
    case VK_ERROR_OUT_OF_DEVICE_MEMORY: return PD_ERR_MEMORY_DEVICE;
    default: return PD_ERR_DEVICE;
    }
}

/* Of the errors that calls gave, of which there are several where all later calls fail. A pipeline
 * that cannot be made is the driver's refusal, whatever it says: its compiler may have given up. */
static bool fits_an_error(pd_status status) {
    bool refused = strcmp(layer->failed_call, "vkCreateComputePipelines") == 0;
    for (int i = 0; i < 32; i++)
        if (layer->failed_results >> i & 1 && status == status_of((VkResult)-i)) return true;
    return refused && status == PD_ERR_DEVICE;
}

static void check_status(pd_status status, const pd_error *err) {
    const char *call = layer->failed_call;
    if (status == PD_OK) {
        if (!may_do_without(call) && !is_of_listing(call)) complain("no error");
        return;
    }
    if (!fits_an_error(status) && !(status == PD_ERR_NO_DEVICE && is_of_listing(call)))
        complain("%s, \"%s\"", pd_status_name(status), err->message);
    if (err->status != status) complain("the error says another status");
    if (!is_sentence(err->message)) complain("no sentence: \"%s\"", err->message);
}

static void check_nothing_left(void) {
    uint32_t n = atomic_exchange(&layer->n_leaks, 0);
    if (n) complain("%u objects leaked", n);
    for (int k = 0; k < FAULT_KIND_COUNT; k++) {
        int left = layer->live[k];
        if (left) complain("%d objects of kind %d are left", left, k);
    }
}

/* ---- walking --------------------------------------------------------------------------------- */

typedef struct stage {
    const char *name;
    pd_status (*open)(world *w, pd_error *err); /* before calls fail */
    pd_status (*run)(world *w, pd_error *err);
    uint32_t stride;    /* of the calls tried unless PERIDOT_TEST_LONG is set */
    bool only_when_new; /* what is made the first time is kept: open anew each time */
} stage;

static void must_be_ok(pd_status status, const pd_error *err) {
    if (status != PD_OK)
        fail_msg("%s: then %s, \"%s\"", where, pd_status_name(status), err->message);
}

static void run_well(const stage *s) {
    pd_error err;
    layer->fail_at = 0;
    must_be_ok(s->run(&now, &err), &err);
    bool same = now.n_tokens == before.n_tokens && now.n_values == before.n_values &&
                memcmp(now.tokens, before.tokens, sizeof now.tokens) == 0 &&
                memcmp(now.values, before.values, now.n_values * sizeof *now.values) == 0;
    if (!same) complain("then it computes something else");
}

static void open_well(const stage *s) {
    pd_error err;
    layer->fail_at = 0;
    must_be_ok(s->open(&now, &err), &err);
}

/* Runs the stage with its n-th call failing; false: it has fewer calls. */
static bool fail_call(const stage *s, uint32_t n, uint32_t which, bool ever_after) {
    pd_error err = {0};
    snprintf(where, sizeof where, "%s: call %u%s, error %u", s->name, n,
             ever_after ? " and all later ones" : "", which);
    alarm(HANG_S);
    layer->n_failed = layer->n_calls = layer->failed_results = 0;
    layer->which = which;
    layer->ever_after = ever_after;
    layer->fail_at = n;
    pd_status status = s->run(&now, &err);
    bool failed = layer->n_failed > 0;
    layer->fail_at = 0;
    if (!failed) {
        must_be_ok(status, &err);
        return false;
    }
    snprintf(where, sizeof where, "%s: call %u%s fails, %s with %d", s->name, n,
             ever_after ? " and all later ones" : "", (const char *)layer->failed_call,
             (int)layer->failed_result);
    check_status(status, &err);
    bool usable = status != PD_ERR_DEVICE_LOST && !ever_after;
    if (usable && now.model) run_well(s);
    if (!usable || s->only_when_new || !now.model) {
        close_all(&now);
        check_nothing_left();
        open_well(s);
    }
    return true;
}

static void walk(const stage *s, bool ever_after) {
    const uint32_t n_results = 3, sparser = 5; /* where everything is opened anew each time */
    uint32_t n_tried = 0, n = tests_are_sparse() ? 2 : 1; /* others than without sanitizers */
    uint32_t stride = ever_after ? sparser * s->stride : s->stride;
    if (tests_are_sparse()) stride *= 3;
    if (is_long()) stride = n = 1;
    pd_error err;
    uint64_t t0 = pd_clock_ns();
    close_all(&now); /* of a walk that broke off */
    layer->n_leaks = n_complaints = 0;
    snprintf(where, sizeof where, "%s", s->name);
    open_well(s);
    must_be_ok(s->run(&now, &err), &err);
    before = now;
    if (s->only_when_new) {
        close_all(&now);
        open_well(s);
    }
    for (bool more = true; more; n += stride)
        for (uint32_t k = 0; more && k < (is_long() ? n_results : 1); k++) {
            more = fail_call(s, n, is_long() ? k : n_tried, ever_after);
            n_tried += more;
        }
    run_well(s);
    close_all(&now);
    check_nothing_left();
    print_message("%-14s %u of some %u calls failed%s, %.1f s\n", s->name, n_tried, n,
                  ever_after ? " with all later ones" : "", (double)(pd_clock_ns() - t0) / 1e9);
    assert_true(n_tried > 0);
    assert_int_equal(n_complaints, 0);
}

static const stage stages[] = {
    {"list", open_nothing, list_devices, 3, false},
    {"open", open_nothing, open_and_close, 21, false},
    {"session", open_text, make_session, 39, true},
    {"session again", open_session, make_session, 15, false},
    {"prompt", open_session, read_prompt, 6, false},
    {"generate", open_session, generate, 6, false},
    {"score", open_scored, score, 6, false},
    {"profile", open_prompted, profile, 69, false},
    {"image model", open_nothing, open_and_close_images, 183, false},
    {"first image", open_images, encode_image, 123, true},
    {"image", open_images, encode_image, 3, false},
    {"pages", open_text, grow_pages, 3, false},
    {"measure", open_text, measure, 87, false},
};
enum { N_STAGES = sizeof stages / sizeof *stages };

static void one_call_fails(void **state) {
    watch();
    walk(*state, false);
}

static void all_later_calls_fail(void **state) {
    watch();
    walk(*state, true);
}

/* ---- the layer itself ------------------------------------------------------------------------ */

/* How many Vulkan functions a text calls; all must be the layer's. */
static uint32_t check_calls(const char *file, const char *text) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    uint32_t n = 0;
    for (const char *at = text; (at = strstr(at, ".vk")) != NULL;) {
        char name[96];
        at += 1;
        snprintf(name, sizeof name, "%.*s", (int)strspn(at, letters), at);
        if (at[2] < 'A' || at[2] > 'Z') continue;
        if (!covers(name)) fail_msg("%s: the layer does not know %s", file, name);
        n++;
    }
    return n;
}

static uint32_t check_folder(const char *folder) {
    uint32_t n = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        char path[1024];
        if (!strstr(e->d_name, ".c") || strcmp(e->d_name, "statistics.c") == 0) continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        char *text = read_file(path, NULL);
        n += check_calls(e->d_name, text);
        free(text);
    }
    closedir(d);
    return n;
}

/* Every Vulkan function that the backend's source names, but for those about a compiler's
 * statistics: no model asks for them. */
static void the_layer_covers_all_calls(void **state) {
    (void)state;
    static const char *const rooms[] = {"", "/device", "/kernels", "/program", "/tune"};
    uint32_t n = 0;
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
        char folder[512];
        snprintf(folder, sizeof folder, PERIDOT_SOURCE_DIR "/src/backend/vulkan%s", rooms[i]);
        n += check_folder(folder);
    }
    assert_true(n > 50);
}

static bool find_llvmpipe(void) {
    static pd_device_info info[8];
    uint32_t n = 0;
    assert_int_equal(pd_device_list(info, 8, &n, NULL, NULL), PD_OK);
    for (uint32_t i = 0; i < n && i < 8; i++)
        if (info[i].kind == PD_DEVICE_SOFTWARE && strstr(info[i].name, "llvmpipe")) return true;
    return false;
}

/* The loader looks for the layer where XDG_DATA_HOME says. */
static bool start_layer(void) {
    pd_env_set("XDG_DATA_HOME", FAULT_LAYER_DATA);
    pd_env_set("PERIDOT_FAULT_LAYER", "1");
    void *library = dlopen(FAULT_LAYER, RTLD_NOW);
    if (!library) return false;
    fault_layer_state_fn get = (fault_layer_state_fn)dlsym(library, "fault_layer_state");
    covers = (fault_layer_covers_fn)dlsym(library, "fault_layer_covers");
    layer = get ? get() : NULL;
    return layer && covers;
}

int main(int argc, char **argv) {
    if (argc > 1) cmocka_set_test_filter(argv[1]); /* one stage */
    if (!start_layer()) {
        fprintf(stderr, "%s cannot be opened\n", FAULT_LAYER);
        return 1;
    }
    keep_drivers_loaded();
    if (!find_llvmpipe()) {
        puts("skipped: there is no llvmpipe");
        return 77;
    }
    if (layer->n_calls == 0) {
        fprintf(stderr, "the Vulkan loader does not take the layer\n");
        return 1;
    }
    struct CMUnitTest tests[1 + 2 * N_STAGES] = {cmocka_unit_test(the_layer_covers_all_calls)};
    for (int i = 0; i < N_STAGES; i++)
        for (int k = 0; k < 2; k++)
            tests[1 + 2 * i + k] =
                (struct CMUnitTest){.name = stages[i].name,
                                    .test_func = k ? all_later_calls_fail : one_call_fails,
                                    .initial_state = (void *)&stages[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
