/* llama.cpp behind a few functions, from shared libraries that are opened at run time.
 *
 * Only its headers are needed to compile this, and only for the types: every function is looked up
 * by name in the library that --peer-libs has, so one program serves builds with and without
 * Vulkan. Headers and libraries must be of the same release, since parameter structs go by value.
 *
 * The calls are those of llama-bench: llama_batch_get_one, which asks for the last token's logits,
 * then llama_synchronize; and a thread pool that is attached, since creating threads for each
 * graph would slow it down.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE /* dladdr */
#include <cjson/cJSON.h>
#include <dirent.h>
#include <dlfcn.h>
#include <llama.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/env.h"
#include "base/file.h"
#include "base/memory.h"
#include "bench_peer.h"

#define PEER_FUNCTIONS(X)                                                                          \
    X(ggml_backend_dev_by_type)                                                                    \
    X(ggml_backend_dev_count)                                                                      \
    X(ggml_backend_dev_description)                                                                \
    X(ggml_backend_dev_get)                                                                        \
    X(ggml_backend_dev_backend_reg)                                                                \
    X(ggml_backend_load_all_from_path)                                                             \
    X(ggml_backend_reg_get_proc_address)                                                           \
    X(ggml_backend_reg_name)                                                                       \
    X(ggml_threadpool_params_default)                                                              \
    X(llama_attach_threadpool)                                                                     \
    X(llama_backend_free)                                                                          \
    X(llama_backend_init)                                                                          \
    X(llama_batch_get_one)                                                                         \
    X(llama_context_default_params)                                                                \
    X(llama_decode)                                                                                \
    X(llama_free)                                                                                  \
    X(llama_get_logits_ith)                                                                        \
    X(llama_get_memory)                                                                            \
    X(llama_init_from_model)                                                                       \
    X(llama_log_set)                                                                               \
    X(llama_memory_clear)                                                                          \
    X(llama_model_default_params)                                                                  \
    X(llama_model_free)                                                                            \
    X(llama_model_get_vocab)                                                                       \
    X(llama_model_load_from_file)                                                                  \
    X(llama_model_quantize)                                                                        \
    X(llama_model_quantize_default_params)                                                         \
    X(llama_state_seq_get_data)                                                                    \
    X(llama_state_seq_get_size)                                                                    \
    X(llama_state_seq_set_data)                                                                    \
    X(llama_synchronize)                                                                           \
    X(llama_tokenize)                                                                              \
    X(llama_vocab_n_tokens)

typedef struct functions {
#define PEER_FIELD(name) __typeof__(&name) name;
    PEER_FUNCTIONS(PEER_FIELD)
#undef PEER_FIELD
    __typeof__(&ggml_threadpool_new) threadpool_new;
    __typeof__(&ggml_threadpool_free) threadpool_free;
    __typeof__(&ggml_threadpool_pause) threadpool_pause; /* NULL: cannot be paused */
} functions;

enum { BATCH_TOKENS = 2048, STEP_TOKENS = 512 };

struct peer {
    functions f;
    peer_info info;
    uint32_t n_threads;
    bool on_vulkan, verbose, initialised;
    char libs_dir[1024];
    char complaint[256]; /* the last error line of its log */
    void *library;
    ggml_backend_dev_t devices[2]; /* NULL-terminated: what the weights may go to */
    ggml_threadpool_t pool;
    struct llama_model *model;
    struct llama_context *context;
    int32_t *tokens; /* [BATCH_TOKENS] */
    uint8_t *saved;  /* the state of the first n_saved tokens */
    size_t saved_bytes;
    uint32_t n_saved;
};

/* ---- the libraries -------------------------------------------------------------------------- */

/* libllama.so, libllama.v1.2.3.so, libllama.vulkan.v1.2.3.so, but not libllama-common.so */
static bool find_library(const char *dir, char *out, size_t size) {
    DIR *d = opendir(dir);
    bool found = false;
    if (!d) return false;
    for (struct dirent *e; !found && (e = readdir(d));) {
        found = strncmp(e->d_name, "libllama.", 9) == 0 && strstr(e->d_name, ".so");
        if (found) snprintf(out, size, "%s/%s", dir, e->d_name);
    }
    closedir(d);
    return found;
}

#if defined(__aarch64__)
#define PEER_ARCH "arm64"
#elif defined(__x86_64__)
#define PEER_ARCH "x64"
#else
#define PEER_ARCH "unknown"
#endif

/* The folder itself, or the package's place in a folder of packages. */
static pd_status find_libraries(peer *p, const char *dir, char *path, size_t size, pd_error *err) {
    const char *flavour = p->on_vulkan ? "linux-" PEER_ARCH "-vulkan" : "linux-" PEER_ARCH;
    snprintf(p->libs_dir, sizeof p->libs_dir, "%s", dir);
    if (find_library(p->libs_dir, path, size)) return PD_OK;
    snprintf(p->libs_dir, sizeof p->libs_dir, "%s/%s/bins/%s", dir, flavour, flavour);
    if (find_library(p->libs_dir, path, size)) return PD_OK;
    return PD_RAISE(err, PD_ERR_IO, "neither \"%s\" nor \"%s\" has a libllama", dir, p->libs_dir);
}

static pd_status load_functions(peer *p, const char *path, pd_error *err) {
    const char *missing = NULL;
    p->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!p->library) return PD_RAISE(err, PD_ERR_IO, "cannot load \"%s\": %s", path, dlerror());
#define PEER_LOOKUP(name)                                                                          \
    *(void **)&p->f.name = dlsym(p->library, #name);                                               \
    if (!p->f.name) missing = #name;
    PEER_FUNCTIONS(PEER_LOOKUP)
#undef PEER_LOOKUP
    if (missing)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED, "\"%s\" has no function %s", path, missing);
    return PD_OK;
}

/* The release is in a small JSON file beside the packages' libraries. */
static void read_release(peer *p) {
    char path[1100], *text = NULL;
    size_t n;
    snprintf(p->info.release, sizeof p->info.release, "unknown");
    snprintf(path, sizeof path, "%s/_nlcBuildMetadata.json", p->libs_dir);
    if (pd_file_read_all(path, 1 << 20, &text, &n, NULL) != PD_OK) return;
    cJSON *j = cJSON_ParseWithLength(text, n);
    cJSON *build = cJSON_GetObjectItem(cJSON_GetObjectItem(j, "buildOptions"), "llamaCpp");
    const char *release = cJSON_GetStringValue(cJSON_GetObjectItem(build, "release"));
    if (release) snprintf(p->info.release, sizeof p->info.release, "%s", release);
    cJSON_Delete(j);
    pd_free(text);
}

static void keep_complaint(enum ggml_log_level level, const char *text, void *ctx) {
    peer *p = ctx;
    if (p->verbose) fputs(text, stderr);
    if (level != GGML_LOG_LEVEL_ERROR) return;
    snprintf(p->complaint, sizeof p->complaint, "%.*s", (int)strcspn(text, "\n"), text);
}

/* ---- devices -------------------------------------------------------------------------------- */

static pd_status find_vulkan(peer *p, const char *index, pd_error *err) {
    for (size_t i = 0; i < p->f.ggml_backend_dev_count() && !p->devices[0]; i++) {
        ggml_backend_dev_t device = p->f.ggml_backend_dev_get(i);
        const char *name = p->f.ggml_backend_reg_name(p->f.ggml_backend_dev_backend_reg(device));
        if (strcmp(name, "Vulkan") == 0) p->devices[0] = device;
    }
    if (p->devices[0]) return PD_OK;
    return PD_RAISE(err, PD_ERR_NO_DEVICE, "llama.cpp sees no Vulkan device (looked at: %s)",
                    index ? index : "its own choice");
}

/* A private symbol of the CPU library, which was loaded under a name only ggml knows. */
static void *cpu_library_symbol(const void *function_in_it, const char *name) {
    Dl_info where;
    if (!dladdr(function_in_it, &where)) return NULL;
    void *library = dlopen(where.dli_fname, RTLD_NOW | RTLD_NOLOAD);
    void *symbol = library ? dlsym(library, name) : NULL;
    if (library) dlclose(library); /* ggml's own handle keeps it loaded */
    return symbol;
}

static pd_status create_pool(peer *p, pd_error *err) {
    functions *f = &p->f;
    ggml_backend_dev_t cpu = f->ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    if (!cpu)
        return PD_RAISE(err, PD_ERR_IO, "\"%s\" has no libggml-cpu for this processor",
                        p->libs_dir);
    ggml_backend_reg_t reg = f->ggml_backend_dev_backend_reg(cpu);
    void *create = f->ggml_backend_reg_get_proc_address(reg, "ggml_threadpool_new");
    *(void **)&f->threadpool_new = create;
    *(void **)&f->threadpool_free =
        f->ggml_backend_reg_get_proc_address(reg, "ggml_threadpool_free");
    if (!f->threadpool_new || !f->threadpool_free)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED, "this llama.cpp has no thread pools");
    *(void **)&f->threadpool_pause = cpu_library_symbol(create, "ggml_threadpool_pause");
    struct ggml_threadpool_params params = f->ggml_threadpool_params_default((int)p->n_threads);
    p->pool = f->threadpool_new(&params);
    if (!p->pool) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "llama.cpp could not start its threads");
    snprintf(p->info.device, sizeof p->info.device, "%s",
             f->ggml_backend_dev_description(p->devices[0] ? p->devices[0] : cpu));
    return PD_OK;
}

static pd_status open_devices(peer *p, const char *vulkan_index, pd_error *err) {
    if (vulkan_index) pd_env_set("GGML_VK_VISIBLE_DEVICES", vulkan_index);
    p->f.llama_log_set(keep_complaint, p);
    p->f.ggml_backend_load_all_from_path(p->libs_dir);
    p->f.llama_backend_init();
    p->initialised = true;
    if (p->on_vulkan) PD_TRY(find_vulkan(p, vulkan_index, err));
    return create_pool(p, err);
}

/* ---- opening -------------------------------------------------------------------------------- */

static pd_status load_model(peer *p, const char *path, pd_error *err) {
    struct llama_model_params params = p->f.llama_model_default_params();
    params.devices = p->devices; /* an empty list, not NULL, keeps it off every GPU */
    params.n_gpu_layers = p->on_vulkan ? 99 : 0;
    params.split_mode = LLAMA_SPLIT_MODE_NONE;
    params.main_gpu = p->on_vulkan ? 0 : -1;
    p->model = p->f.llama_model_load_from_file(path, params);
    if (!p->model)
        return PD_RAISE(err, PD_ERR_UNSUPPORTED, "llama.cpp cannot load \"%s\": %s", path,
                        p->complaint);
    int32_t n_vocab = p->f.llama_vocab_n_tokens(p->f.llama_model_get_vocab(p->model));
    p->info.n_vocab = n_vocab > 0 ? (uint32_t)n_vocab : 0;
    return PD_OK;
}

pd_status peer_open(const peer_desc *desc, peer **out, pd_error *err) {
    char path[1400];
    pd_status status;
    *out = NULL;
    peer *p = pd_alloc(1, sizeof *p);
    int32_t *tokens = pd_alloc(BATCH_TOKENS, sizeof *tokens);
    if (!p || !tokens) {
        pd_free(p);
        pd_free(tokens);
        return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for llama.cpp's tokens");
    }
    p->tokens = tokens;
    p->n_threads = desc->n_threads;
    p->on_vulkan = desc->on_vulkan;
    p->verbose = desc->verbose;
    PD_TRY_GOTO(find_libraries(p, desc->libs_dir, path, sizeof path, err));
    PD_TRY_GOTO(load_functions(p, path, err));
    read_release(p);
    PD_TRY_GOTO(open_devices(p, desc->vulkan_index, err));
    if (desc->model_path) PD_TRY_GOTO(load_model(p, desc->model_path, err));
    *out = p;
    return PD_OK;
done:
    peer_close(p);
    return status;
}

/* The libraries stay loaded: their threads and exit handlers outlive the model. */
void peer_close(peer *p) {
    if (!p) return;
    peer_context_destroy(p);
    if (p->model) p->f.llama_model_free(p->model);
    if (p->pool) p->f.threadpool_free(p->pool);
    if (p->initialised) {
        p->f.llama_log_set(NULL, NULL);
        p->f.llama_backend_free();
    }
    pd_free(p->tokens);
    pd_free(p);
}

const peer_info *peer_get_info(const peer *p) {
    return &p->info;
}

/* ---- running -------------------------------------------------------------------------------- */

pd_status peer_context_create(peer *p, uint32_t n_ctx, uint32_t n_seqs, pd_error *err) {
    struct llama_context_params params = p->f.llama_context_default_params();
    params.n_ctx = n_ctx * n_seqs;
    params.n_seq_max = n_seqs;
    params.n_batch = BATCH_TOKENS;
    params.n_ubatch = STEP_TOKENS;
    params.n_threads = params.n_threads_batch = (int32_t)p->n_threads;
    params.type_k = params.type_v = GGML_TYPE_F16;
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_AUTO;
    params.offload_kqv = params.op_offload = p->on_vulkan;
    params.swa_full = false;
    p->context = p->f.llama_init_from_model(p->model, params);
    if (!p->context)
        return PD_RAISE(err, PD_ERR_DEVICE, "llama.cpp cannot make a context of %u positions: %s",
                        n_ctx, p->complaint);
    p->f.llama_attach_threadpool(p->context, p->pool, NULL);
    return PD_OK;
}

void peer_context_destroy(peer *p) {
    if (p->context) p->f.llama_free(p->context);
    pd_free(p->saved);
    p->context = NULL;
    p->saved = NULL;
    p->n_saved = 0;
}

static pd_status decode(peer *p, const uint32_t *ids, uint32_t n, pd_error *err) {
    for (uint32_t i = 0; i < n; i++) p->tokens[i] = (int32_t)ids[i];
    int result = p->f.llama_decode(p->context, p->f.llama_batch_get_one(p->tokens, (int32_t)n));
    if (result == 0) return PD_OK;
    return PD_RAISE(err, PD_ERR_DEVICE, "llama_decode of %u tokens returned %d: %s", n, result,
                    p->complaint);
}

pd_status peer_append(peer *p, const uint32_t *ids, uint32_t n, bool one_by_one, pd_error *err) {
    uint32_t most = one_by_one ? 1 : BATCH_TOKENS;
    for (uint32_t i = 0, step; i < n; i += step) {
        step = n - i < most ? n - i : most;
        PD_TRY(decode(p, ids + i, step, err));
        if (one_by_one) p->f.llama_synchronize(p->context);
    }
    p->f.llama_synchronize(p->context);
    return PD_OK;
}

static pd_status save_state(peer *p, uint32_t n, pd_error *err) {
    size_t bytes = p->f.llama_state_seq_get_size(p->context, 0);
    pd_free(p->saved);
    p->n_saved = 0;
    p->saved = pd_alloc(bytes, 1);
    if (!p->saved) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for %zu bytes", bytes);
    p->saved_bytes = p->f.llama_state_seq_get_data(p->context, p->saved, bytes, 0);
    p->n_saved = p->saved_bytes > 0 ? n : 0;
    return PD_OK;
}

pd_status peer_rewind(peer *p, const uint32_t *ids, uint32_t n, pd_error *err) {
    p->f.llama_memory_clear(p->f.llama_get_memory(p->context), false);
    if (n == 0) return PD_OK;
    if (n == p->n_saved &&
        p->f.llama_state_seq_set_data(p->context, p->saved, p->saved_bytes, 0) > 0)
        return PD_OK;
    p->f.llama_memory_clear(p->f.llama_get_memory(p->context), false);
    PD_TRY(peer_append(p, ids, n, false, err));
    return save_state(p, n, err);
}

/* Of several sequences: row i is token ids[i] of sequence seqs[i] at position pos[i]. */
typedef struct peer_rows {
    llama_token ids[BATCH_TOKENS];
    llama_pos pos[BATCH_TOKENS];
    llama_seq_id seqs[BATCH_TOKENS], *seq_lists[BATCH_TOKENS];
    int32_t n_seqs[BATCH_TOKENS];
    int8_t wanted[BATCH_TOKENS];
    uint32_t n;
} peer_rows;

static void add_row(peer_rows *rows, uint32_t id, uint32_t pos, uint32_t seq, bool wanted) {
    uint32_t i = rows->n++;
    rows->ids[i] = (llama_token)id;
    rows->pos[i] = (llama_pos)pos;
    rows->seqs[i] = (llama_seq_id)seq;
    rows->seq_lists[i] = &rows->seqs[i];
    rows->n_seqs[i] = 1;
    rows->wanted[i] = wanted;
}

static pd_status decode_rows(peer *p, peer_rows *rows, pd_error *err) {
    struct llama_batch batch = {.n_tokens = (int32_t)rows->n,
                                .token = rows->ids,
                                .pos = rows->pos,
                                .n_seq_id = rows->n_seqs,
                                .seq_id = rows->seq_lists,
                                .logits = rows->wanted};
    rows->n = 0;
    int result = p->f.llama_decode(p->context, batch);
    if (result == 0) return PD_OK;
    return PD_RAISE(err, PD_ERR_DEVICE, "llama_decode of %d tokens returned %d: %s", batch.n_tokens,
                    result, p->complaint);
}

static pd_status parallel_prompts(peer *p, peer_rows *rows, const uint32_t *ids, size_t stride,
                                  uint32_t n_seqs, uint32_t n_prompt, pd_error *err) {
    for (uint32_t s = 0; s < n_seqs; s++) {
        for (uint32_t i = 0; i < n_prompt; i++) {
            if (rows->n == BATCH_TOKENS) PD_TRY(decode_rows(p, rows, err));
            add_row(rows, ids[s * stride + i], i, s, i + 1 == n_prompt);
        }
    }
    PD_TRY(decode_rows(p, rows, err));
    p->f.llama_synchronize(p->context);
    return PD_OK;
}

static pd_status parallel_answers(peer *p, peer_rows *rows, const uint32_t *ids, size_t stride,
                                  uint32_t n_seqs, uint32_t first, uint32_t n_gen, pd_error *err) {
    for (uint32_t i = first; i < first + n_gen; i++) {
        for (uint32_t s = 0; s < n_seqs; s++) add_row(rows, ids[s * stride + i], i, s, true);
        PD_TRY(decode_rows(p, rows, err));
        p->f.llama_synchronize(p->context);
    }
    return PD_OK;
}

pd_status peer_parallel(peer *p, const uint32_t *ids, uint32_t n_seqs, uint32_t n_prompt,
                        uint32_t n_gen, uint64_t *prompt_ns, uint64_t *gen_ns, pd_error *err) {
    size_t stride = (size_t)n_prompt + n_gen;
    pd_status status;
    peer_rows *rows = pd_alloc(1, sizeof *rows);
    if (!rows) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "no memory for a batch");
    p->f.llama_memory_clear(p->f.llama_get_memory(p->context), false);
    uint64_t start_ns = pd_clock_ns();
    PD_TRY_GOTO(parallel_prompts(p, rows, ids, stride, n_seqs, n_prompt, err));
    *prompt_ns = pd_clock_ns() - start_ns;
    start_ns = pd_clock_ns();
    PD_TRY_GOTO(parallel_answers(p, rows, ids, stride, n_seqs, n_prompt, n_gen, err));
    *gen_ns = pd_clock_ns() - start_ns;
done:
    pd_free(rows);
    return status;
}

const float *peer_logits(peer *p) {
    return p->f.llama_get_logits_ith(p->context, -1);
}

/* log softmax(x)[id] */
static float log_prob_of(const float *x, uint32_t n, uint32_t id) {
    float most = x[0];
    double sum = 0;
    for (uint32_t i = 1; i < n; i++) most = x[i] > most ? x[i] : most;
    for (uint32_t i = 0; i < n; i++) sum += (double)expf(x[i] - most);
    return (float)((double)x[id] - (double)most - log(sum));
}

/* Positions of one sequence, with logits from `first` on. */
static pd_status decode_scored(peer *p, const uint32_t *ids, uint32_t n, uint32_t first,
                               pd_error *err) {
    llama_pos pos[BATCH_TOKENS];
    int32_t n_seqs[BATCH_TOKENS];
    llama_seq_id seq = 0, *seqs[BATCH_TOKENS];
    int8_t wanted[BATCH_TOKENS];
    for (uint32_t i = 0; i < n; i++) {
        p->tokens[i] = (int32_t)ids[i];
        pos[i] = (llama_pos)i;
        n_seqs[i] = 1;
        seqs[i] = &seq;
        wanted[i] = i >= first;
    }
    struct llama_batch batch = {.n_tokens = (int32_t)n,
                                .token = p->tokens,
                                .pos = pos,
                                .n_seq_id = n_seqs,
                                .seq_id = seqs,
                                .logits = wanted};
    int result = p->f.llama_decode(p->context, batch);
    if (result == 0) return PD_OK;
    return PD_RAISE(err, PD_ERR_DEVICE, "llama_decode of %u tokens returned %d: %s", n, result,
                    p->complaint);
}

pd_status peer_log_probs(peer *p, const uint32_t *ids, uint32_t n, uint32_t first, float *log_probs,
                         pd_error *err) {
    if (n > BATCH_TOKENS)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "%u tokens are more than %d", n, BATCH_TOKENS);
    p->f.llama_memory_clear(p->f.llama_get_memory(p->context), false);
    PD_TRY(decode_scored(p, ids, n, first, err));
    for (uint32_t i = first; i + 1 < n; i++) {
        const float *x = p->f.llama_get_logits_ith(p->context, (int32_t)i);
        if (!x) return PD_RAISE(err, PD_ERR_DEVICE, "llama.cpp computed no logits");
        log_probs[i - first] = log_prob_of(x, p->info.n_vocab, ids[i + 1]);
    }
    return PD_OK;
}

void peer_rest(peer *p) {
    if (p->f.threadpool_pause) p->f.threadpool_pause(p->pool);
}

/* ---- beside running ------------------------------------------------------------------------- */

pd_status peer_tokenize(peer *p, const char *text, bool parse_special, uint32_t *ids,
                        uint32_t n_max, uint32_t *n, pd_error *err) {
    const struct llama_vocab *vocab = p->f.llama_model_get_vocab(p->model);
    int32_t count = p->f.llama_tokenize(vocab, text, (int32_t)strlen(text), (int32_t *)ids,
                                        (int32_t)n_max, true, parse_special);
    if (count < 0)
        return PD_RAISE(err, PD_ERR_ARGUMENT, "a text has %d tokens, more than %u", -count, n_max);
    *n = (uint32_t)count;
    return PD_OK;
}

pd_status peer_quantize(peer *p, const char *in, const char *out, const char *type, pd_error *err) {
    struct llama_model_quantize_params params = p->f.llama_model_quantize_default_params();
    params.nthread = (int32_t)p->n_threads;
    params.ftype = strcmp(type, "q4_0") == 0 ? LLAMA_FTYPE_MOSTLY_Q4_0 : LLAMA_FTYPE_MOSTLY_Q8_0;
    uint32_t result = p->f.llama_model_quantize(in, out, &params);
    if (result == 0) return PD_OK;
    return PD_RAISE(err, PD_ERR_IO, "llama_model_quantize returned %u: %s", result, p->complaint);
}
