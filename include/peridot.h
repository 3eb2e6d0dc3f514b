/* Peridot: Gemma 3 inference on any Vulkan device, and on the CPU. The public interface.
 *
 * Two objects matter. A `pd_model` is an opened GGUF file bound to one device; it never changes. A
 * `pd_session` is one mutable sequence of tokens over a model: its KV pages live on the device.
 *
 * Threads. Any thread may use a model, and each session at one time one thread. A device does one
 * thing at a time: sessions of several threads take turns inside of the library, a step of a prompt
 * or some tokens long, in the order in which they came. Functions of the caller's that are called
 * meanwhile may be called within a turn: they must not wait for another thread's call on the model,
 * and their own calls that compute are refused. pd_session_cancel may come from anywhere.
 *
 * The usual life of a program:
 *
 *     pd_model_open(path, &(pd_model_desc){.device = "vulkan"}, &model, &err);
 *     pd_tokenize(model, text, n_bytes, &(pd_tokenize_desc){0}, ids, n_ids_max, &n_ids, &err);
 *     pd_session_create(model, &(pd_session_desc){.n_ctx = 4096}, &session, &err);
 *     pd_session_sync(session, ids, n_ids, &err);            // computes only what is missing
 *     pd_session_generate(session, &sampler, &(pd_generate_desc){.fn = f}, &err);  // the answer
 *
 * Conventions. Functions return a pd_status; the sentence that goes with it is in the caller's
 * pd_error (NULL is allowed). Descriptor structs: zero means the default that is written beside the
 * field, and a NULL descriptor is one of zeros. Any other NULL that the function needs, and a
 * number outside its enumeration, is ERR_ARGUMENT; functions without a status do nothing then and
 * return 0 or NULL. Sizes name their unit. Shapes are written slowest dimension first. Text is
 * UTF-8 with an explicit byte count. A pointer handed out belongs to the object it came from unless
 * said otherwise.
 *
 * Versions. A descriptor grows at its end alone, and enumerations by values behind the last one:
 * source that fills in what it knows and leaves the rest zero compiles and means the same with
 * every later version. Compiled programs are promised less: structs are handed over without their
 * size, so before 1.0 a change of their layout raises the minor version, after it the major one,
 * and with it the shared library's SONAME.
 *
 * Beside it peridot_text.h, its part about text; peridot_measure.h, for programs that measure
 * devices, models and where time goes, and peridot_files.h, for those that convert, quantise and
 * check model files.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PERIDOT_H
#define PERIDOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default) /* what a library of Peridot exports, and nothing else */
#endif

/* ---------------------------------------------------------------------------------------------
 * Version
 * ------------------------------------------------------------------------------------------- */

/* Of this header, and so what a program was compiled with. */
#define PD_VERSION_MAJOR  0
#define PD_VERSION_MINOR  1
#define PD_VERSION_PATCH  0
#define PD_VERSION_STRING "0.1.0"

/* Of the library that the program found: its text, and in `numbers` major, minor and patch (NULL:
 * the text alone). A shared library's file name has the first two, so that only the last one can
 * differ from the header's. */
const char *pd_version(uint32_t numbers[3]);

/* ---------------------------------------------------------------------------------------------
 * Status and errors
 * ------------------------------------------------------------------------------------------- */

/* X(name, exit code of the command line, HTTP status, meaning). The list of what can go wrong. */
#define PD_STATUS_LIST(X)                                                                          \
    X(OK, 0, 200, "success")                                                                       \
    X(ERR_ARGUMENT, 2, 400, "a flag, value or text that cannot be used")                           \
    X(ERR_IO, 3, 500, "a file that cannot be opened, read or written")                             \
    X(ERR_FORMAT, 4, 422, "a damaged or truncated file")                                           \
    X(ERR_UNSUPPORTED, 5, 422, "a file or request of a kind that Peridot does not handle")         \
    X(ERR_MODEL, 6, 422, "a model file whose tensors or settings do not make a Gemma 3")           \
    X(ERR_CONTEXT, 7, 400, "more tokens than the context holds")                                   \
    X(ERR_MEMORY_HOST, 8, 503, "not enough host memory")                                           \
    X(ERR_MEMORY_DEVICE, 9, 503, "not enough device memory")                                       \
    X(ERR_NO_DEVICE, 10, 503, "no such device, or no driver for it")                               \
    X(ERR_DEVICE, 11, 500, "the device's driver refused or failed a call")                         \
    X(ERR_DEVICE_LOST, 12, 500, "the device was lost; the model must be opened again")             \
    X(ERR_NUMERIC, 13, 500, "a NaN or an infinity in the computation")                             \
    X(ERR_INTERNAL, 70, 500, "a mistake of Peridot's own")                                         \
    X(ERR_CANCELLED, 130, 499, "stopped on request")                                               \
    X(ERR_BUSY, 75, 503, "too many requests are waiting")                                          \
    X(ERR_DIFFERS, 14, 500, "a device computes something else than it should")

typedef enum pd_status {
#define PD_STATUS_ENUM(name, exit_code, http, text) PD_##name,
    PD_STATUS_LIST(PD_STATUS_ENUM)
#undef PD_STATUS_ENUM
        PD_STATUS_COUNT
} pd_status;

/* What went wrong, in the caller's memory. Undefined after a call that returned PD_OK. */
typedef struct pd_error {
    pd_status status;
    char message[512]; /* one sentence: what, where, expected and found */
    char hint[256];    /* what to try, or empty */
    const char *file;  /* where in Peridot's source it was raised */
    int line;
} pd_error;

const char *pd_status_name(pd_status status); /* "ERR_FORMAT" */
const char *pd_status_text(pd_status status); /* the meaning column above */
int pd_status_exit_code(pd_status status);    /* for main() */
int pd_status_http(pd_status status);         /* for a server */

/* ---------------------------------------------------------------------------------------------
 * Log
 * ------------------------------------------------------------------------------------------- */

typedef enum pd_log_level { PD_LOG_ERROR, PD_LOG_WARN, PD_LOG_INFO, PD_LOG_DEBUG } pd_log_level;

/* One line without its newline. May be called from any thread. */
typedef void (*pd_log_fn)(void *ctx, pd_log_level level, const char *subsystem, const char *line);

/* The only process-wide setting: where lines go (NULL: nowhere, the default), up to which level. */
void pd_log_set(pd_log_fn fn, void *ctx, pd_log_level max_level);

/* ---------------------------------------------------------------------------------------------
 * Devices
 * ------------------------------------------------------------------------------------------- */

typedef enum pd_device_kind {
    PD_DEVICE_CPU_REFERENCE, /* "cpu-ref": plain loops, double accumulators; the truth, and slow */
    PD_DEVICE_CPU,           /* "cpu": threads and vector units */
    PD_DEVICE_GPU_DISCRETE,
    PD_DEVICE_GPU_INTEGRATED,
    PD_DEVICE_GPU_VIRTUAL,
    PD_DEVICE_SOFTWARE /* a Vulkan driver that runs on the CPU; used only when named */
} pd_device_kind;

/* A product that a subgroup's matrix unit does: a [m][k] times b [k][n], added up as `result`; the
 * types are "f16", "bf16", "f32", "s8", "u8", "s32" and the like. */
typedef struct pd_coopmat_info {
    uint32_t m, n, k;
    const char *a, *b, *result;
} pd_coopmat_info;
enum { PD_MAX_COOPMATS = 32 };

/* One device as `peridot devices` shows it. Numbers that do not apply to the CPU are 0. */
typedef struct pd_device_info {
    char id[16];          /* what --device takes: "cpu", "cpu-ref", "vulkan:0" */
    char name[256];       /* the driver's name for it */
    char uuid[37];        /* 8-4-4-4-12, lower case; empty for the CPU */
    char driver[256];     /* driver name and version text */
    char api_version[16]; /* "1.3.230" */
    pd_device_kind kind;
    uint32_t vendor_id, device_id;
    uint64_t memory_bytes;      /* of the device's own heap (the machine's memory for the CPU) */
    uint64_t memory_free_bytes; /* what the driver's budget leaves; 0 when it does not tell */
    uint64_t max_binding_bytes; /* maxStorageBufferRange */
    uint64_t max_alloc_bytes;
    uint32_t shared_memory_bytes;
    uint32_t max_workgroup_size;
    uint32_t subgroup_size, subgroup_size_min, subgroup_size_max;
    bool has_subgroup_arithmetic;
    bool has_fp16;         /* shaderFloat16 */
    bool has_int8;         /* shaderInt8 */
    bool has_int_dot;      /* 4x8-bit integer dot product */
    bool has_int_dot_fast; /* ... reported as accelerated */
    bool has_coopmat;      /* VK_KHR_cooperative_matrix */
    bool has_timestamps;
    bool has_memory_budget;  /* VK_EXT_memory_budget */
    bool has_unified_memory; /* device-local memory that the host can map */
    uint32_t n_coopmats;     /* 0 as well where the driver cannot be trusted with the question */
    pd_coopmat_info coopmats[PD_MAX_COOPMATS];
    bool usable; /* false: unusable_reason says why */
    char unusable_reason[128];
} pd_device_info;

/* Fills at most `cap` entries and sets *count to how many there are: the CPU's two first, then
 * every Vulkan device in the loader's order. Without a Vulkan driver the list is just shorter, and
 * *vulkan_note (if not NULL) says why. */
pd_status pd_device_list(pd_device_info *out, uint32_t cap, uint32_t *count,
                         const char **vulkan_note, pd_error *err);

/* ---------------------------------------------------------------------------------------------
 * Models
 * ------------------------------------------------------------------------------------------- */

typedef struct pd_model pd_model;

/* Called while weights are read and uploaded; return false to stop (PD_ERR_CANCELLED). */
typedef bool (*pd_progress_fn)(void *ctx, uint64_t bytes_done, uint64_t bytes_total);

/* The type that the output head (the matrix from the last norm to the logits) is requantised to
 * while loading. Files often keep it in 16 bits when the layers have 4, and it is then half of all
 * bytes read per token. */
typedef enum pd_head_type {
    PD_HEAD_KEEP, /* as the file stores it (default) */
    PD_HEAD_Q8_0, /* 8.5 bits per weight */
    PD_HEAD_Q6_K, /* 6.56 bits; rows must be multiples of 256 values */
    PD_HEAD_Q4_0  /* 4.5 bits */
} pd_head_type;

/* How close to the exact result the computation must stay (relative L2 of the logits). */
typedef enum pd_precision {
    PD_PRECISION_F16,   /* <= 1e-2 (default): f16 KV pages; products may read halves or int16 */
    PD_PRECISION_EXACT, /* <= 1e-3: f32 everywhere, KV pages included */
    PD_PRECISION_Q8     /* <= 3e-2: as F16; software devices then read integers too */
} pd_precision;

/* Called while a prompt is computed: before its first step with the positions that are there
 * already, and behind each. Return false to stop (PD_ERR_CANCELLED; what is computed stays). */
typedef bool (*pd_prompt_progress_fn)(void *ctx, uint32_t n_done, uint32_t n_total);

typedef struct pd_session_desc {
    uint32_t n_ctx;   /* positions; default: min(the model's context, 8192), or the largest multiple
                         of 64 below that fits the device's memory (pd_model_fit) */
    uint32_t n_chunk; /* prompt tokens per step; default 512 */
    pd_precision precision;
    bool all_logits; /* for pd_session_score and pd_session_log_probs (peridot_measure.h) */
    pd_prompt_progress_fn progress; /* default: nobody is told */
    void *progress_ctx;
    /* Positions whose K and V the local layers keep beyond their window, for going back to ends of
     * turns and borders of images; taken as they come to be needed. Default: two windows. */
    uint32_t checkpoint_positions; /* or PD_NO_CHECKPOINTS */
    bool all_pages; /* take the KV pages for n_ctx at once; default: as the sequence grows */
} pd_session_desc;
#define PD_NO_CHECKPOINTS UINT32_C(0xffffffff)

typedef struct pd_model_desc {
    const char *device; /* "cpu", "cpu-ref", "vulkan", "vulkan:1", "vulkan:llvmpipe", part of a name
                           or UUID. Default: the best real GPU, else "cpu" */
    uint32_t n_threads; /* CPU threads, at most 4096; default: one per core */
    uint64_t memory_limit_bytes; /* never use more device memory than this; default: what a GPU has;
                                    the CPU has no limit then */
    bool no_repack;  /* CPU: weights stay as the file has them, in its pages, which processes share;
                        by default most are packed anew for the processor, which is faster */
    bool vocab_only; /* tokenizer and settings alone; no device, no weights, no sessions */
    bool vision_only;   /* the image encoder, tokenizer and settings; no sessions */
    bool estimate_only; /* for pd_model_estimate (peridot_measure.h) alone: a device is opened, but
                           no weight is read and it gives no memory; no sessions */
    /* A head that would not become smaller is kept (pd_model_info tells). In Gemma 3 it is also the
     * table that tokens are looked up in: there is one copy, and both uses see the new values. What
     * that costs: pd_session_head_cost. */
    pd_head_type head;
    /* The image encoder that belongs to the model, an mmproj GGUF; NULL: none, and no images. Its
     * precision is the first session's; its working memory is taken with the first image. */
    const char *mmproj;
    /* The session that will be made first: if it does not fit the memory beside weights and an
     * image, opening is refused with numbers before anything is loaded (an n_ctx beyond the model's
     * counts as the model's). A GPU's pipelines for it are built while the weights are on their
     * way. */
    pd_session_desc session;
    pd_progress_fn progress;
    void *progress_ctx;
} pd_model_desc;

typedef struct pd_model_info {
    char name[128];      /* general.name, or the file's name */
    char size_label[16]; /* "270M", "1B", ... by shape; "custom" otherwise */
    char file_type[16];  /* the most frequent type among the layers' matrices: "Q4_0" */
    uint32_t n_vocab;    /* rows of the embedding; ids at or above 262144 are padding */
    uint32_t n_ctx_train;
    uint32_t n_layers, n_embd, n_ff, n_heads, n_kv_heads, head_dim, window;
    uint64_t n_params;
    uint64_t file_bytes;
    uint64_t weight_bytes_per_token; /* read for one decoded token: all matrices and the head */
    char head_type[16];              /* of the output head as it is computed with: "Q8_0" */
    char head_file_type[16];         /* ... as the file stores it: "F16" */
    uint64_t head_bytes, head_file_bytes;
    bool has_chat_template;    /* the file brings one; Gemma's is used either way */
    bool is_instruction_tuned; /* by that, general.finetune ("it", "pt"), or "-it" in a name. False:
                                  pre-trained, it goes on with texts and answers nobody */
} pd_model_info;

/* Time spent opening a model; all in nanoseconds. */
typedef struct pd_load_stats {
    uint64_t read_ns;   /* mapping and checking the file, building the vocabulary */
    uint64_t device_ns; /* instance, device, queues */
    uint64_t head_ns;   /* requantising the head; 0 when it was kept */
    uint64_t upload_ns; /* weights to the device */
    uint64_t total_ns;
    uint64_t device_bytes; /* device memory held by the weights */
} pd_load_stats;

/* Opens a Gemma 3 GGUF (for split files: the first part) and places its weights on a device, those
 * of its image encoder too. Errors: IO, FORMAT, UNSUPPORTED (another architecture or type, a head
 * whose rows the wanted type cannot hold), MODEL (tensor missing or of the wrong shape, an image
 * encoder for another model), NO_DEVICE, MEMORY_DEVICE (what is needed, what there is, and as the
 * hint the context that would fit), MEMORY_HOST, CANCELLED. */
pd_status pd_model_open(const char *path, const pd_model_desc *desc, pd_model **out, pd_error *err);
void pd_model_close(pd_model *model); /* its sessions end with ERR_ARGUMENT from then on, and have
                                       * to be destroyed all the same; NULL is allowed */

const pd_model_info *pd_model_get_info(const pd_model *model);
const pd_load_stats *pd_model_get_load_stats(const pd_model *model);
const pd_device_info *pd_model_get_device(const pd_model *model); /* NULL when vocab_only */
/* ---------------------------------------------------------------------------------------------
 * Images
 * ------------------------------------------------------------------------------------------- */

/* 8-bit RGB, [height][width][3]. From pd_image_decode, pd_image_read or pd_image_crop, which
 * pd_image_free releases; or the caller's own pixels. All zero: no image. */
typedef struct pd_image {
    uint32_t width, height; /* pixels, both > 0 */
    uint8_t *rgb;
} pd_image;

/* What an image from outside may ask for; checked against the header before anything is decoded. */
typedef struct pd_image_limits {
    uint64_t max_bytes;  /* of the file; 0: 64 MiB; never above 2^31 - 1 */
    uint64_t max_pixels; /* 0: 2^26, 67 million; no side is ever above 65535 */
} pd_image_limits;

/* Decodes PNG, JPEG (8-bit, baseline and progressive), WebP (still pictures), GIF (its first
 * frame), BMP (not run-length coded), TGA and binary PNM (P5, P6). Grey is replicated, alpha and
 * transparency are dropped, 16 bits become the upper 8, and EXIF orientation is applied, all as the
 * reference's Pillow does it (which clips grey of 16 bits instead). `limits` may be NULL. Errors:
 * FORMAT (empty, damaged, cut short anywhere), UNSUPPORTED (another format or variant, beyond the
 * limits), MEMORY_HOST. *out is empty then. */
pd_status pd_image_decode(const void *bytes, size_t n, const pd_image_limits *limits, pd_image *out,
                          pd_error *err);
/* The same from a file, which every error names; also IO. */
pd_status pd_image_read(const char *path, const pd_image_limits *limits, pd_image *out,
                        pd_error *err);
void pd_image_free(pd_image *image);

typedef struct pd_rect {
    uint32_t x, y, width, height;
} pd_rect;

/* Pan and scan: long images are also shown in windows along the longer side. */
typedef struct pd_crop_rule {
    uint32_t min_crop_px; /* no window may have a side below this; 0: 256 */
    uint32_t max_crops;   /* 0: 4; at most PD_MAX_CROPS count */
    double min_ratio;     /* longer / shorter side below which there are no windows; 0: 1.2 */
} pd_crop_rule;

enum { PD_MAX_CROPS = 16 };

/* The windows of an image of this size in the order in which they follow the whole image, 0: none.
 * `rule` may be NULL for the defaults. */
uint32_t pd_image_crops(uint32_t width, uint32_t height, const pd_crop_rule *rule,
                        pd_rect out[PD_MAX_CROPS]);
/* A copy of one window. Errors: ARGUMENT (empty or not inside the image), MEMORY_HOST. */
pd_status pd_image_crop(const pd_image *in, pd_rect window, pd_image *out, pd_error *err);

/* A model's image encoder. */
typedef struct pd_vision_info {
    uint32_t image_size; /* images are stretched to image_size x image_size pixels */
    uint32_t patch_size, n_patches;
    uint32_t n_tokens; /* rows, and so positions, that an image takes */
    uint32_t n_embd_out;
    uint32_t n_layers, n_embd, n_ff, n_heads;
    char file_type[16]; /* the most frequent type among the layers' matrices */
    uint64_t n_params, file_bytes;
} pd_vision_info;
const pd_vision_info *pd_model_get_vision(const pd_model *model); /* NULL: opened without one */

typedef struct pd_vision_stats {
    uint64_t encode_ns;           /* of all images computed */
    uint32_t n_encoded, n_cached; /* images computed, and those whose rows were at hand */
    uint64_t compile_ns;          /* with the first one: pipelines, buffers */
} pd_vision_stats;
const pd_vision_stats *pd_model_get_vision_stats(const pd_model *model);

/* What an image becomes: rows [n_tokens, n_embd_out] in place of tokens' embeddings. Counts as a
 * call on one of the model's sessions. Errors: ARGUMENT (no image encoder, an image without
 * pixels), MEMORY_HOST, MEMORY_DEVICE, DEVICE, CANCELLED, NUMERIC. */
pd_status pd_model_embed_image(pd_model *model, const pd_image *image, float *rows, pd_error *err);
/* The same from ready pixels: chw [3, image_size, image_size] in [-1, 1]. */
pd_status pd_model_embed_pixels(pd_model *model, const float *chw, float *rows, pd_error *err);
/* Asks a running pd_model_embed_* to stop soon with PD_ERR_CANCELLED, and all that follow. From any
 * thread or signal handler. */
void pd_model_cancel(pd_model *model);
/* The pixels that the encoder sees of an image: stretched and normalised, as above. */
pd_status pd_model_image_pixels(const pd_model *model, const pd_image *image, float *chw,
                                pd_error *err);

/* ---------------------------------------------------------------------------------------------
 * Sampling
 * ------------------------------------------------------------------------------------------- */

/* An addition to a token's logit; -INFINITY: the token is never drawn. */
typedef struct pd_logit_bias {
    uint32_t id;
    float bias;
} pd_logit_bias;

/* What an answer may be: peridot_grammar.h. */
typedef struct pd_grammar pd_grammar;

/* How far an answer is in its grammar; zero: at the beginning. */
typedef struct pd_grammar_place {
    uint32_t state;
    uint8_t begun[4]; /* bytes of a character that is not complete */
    uint8_t n_begun;
    bool has_ended;
} pd_grammar_place;

/* Order: grammar, bias, penalties, temperature, top-k, top-p, min-p. The defaults are those Google
 * ships with Gemma 3. Equal logits give equal draws on every device: the arithmetic is in integers.
 * With a bias or a penalty the host draws. */
typedef struct pd_sampler_desc {
    float temp;     /* 0: greedy (default) */
    uint32_t top_k; /* 0: off (default); Gemma's own: 64 */
    float top_p;    /* 0 or 1: off (default); Gemma's own: 0.95 */
    float min_p;    /* 0: off (default) */
    uint64_t seed;  /* of the counter-based generator; default 0 is a seed like any other */
    /* Of the sequence's last repeat_last_n tokens; rows of images do not count. */
    float repeat_penalty;    /* divides positive logits, multiplies others; 0 or 1: off */
    uint32_t repeat_last_n;  /* 0: 64; UINT32_MAX: all */
    float presence_penalty;  /* subtracted; -2 to 2; 0: off */
    float frequency_penalty; /* ... for each time that the token is there; -2 to 2; 0: off */
    const pd_logit_bias *logit_bias; /* [n_logit_bias], all of an id's add up; not copied */
    size_t n_logit_bias;
    pd_grammar *grammar; /* NULL: anything may be answered (default) */
} pd_sampler_desc;

typedef struct pd_sampler {
    pd_sampler_desc desc;
    uint64_t n_drawn; /* the generator's counter: draw i depends on (seed, i) alone */
    pd_grammar_place place;
} pd_sampler;

pd_status pd_sampler_init(pd_sampler *s, const pd_sampler_desc *desc, pd_error *err);

/* ---------------------------------------------------------------------------------------------
 * Sessions
 * ------------------------------------------------------------------------------------------- */

typedef struct pd_session pd_session;

/* What a step is made of. On the CPU a dispatch is a loop over the threads, which ends with all of
 * them waiting; there are no barriers and submissions to count. */
typedef struct pd_step_counts {
    uint32_t n_dispatches;
    uint32_t n_layer_dispatches; /* those of the layers, all layers together */
    uint32_t n_barriers;         /* between dispatches */
    uint32_t n_submits;          /* command buffers */
} pd_step_counts;

/* What building a device's pipelines took since the model was opened, summed over threads. */
typedef struct pd_build_stats {
    uint32_t n_pipelines;
    uint32_t n_shaders;   /* texts that had to be compiled: none when the cache folder has them */
    uint64_t shader_ns;   /* spent on those */
    uint64_t pipeline_ns; /* spent in the driver */
} pd_build_stats;

typedef struct pd_session_stats {
    uint64_t prompt_ns, decode_ns; /* time spent in multi-token and single-token steps */
    uint32_t n_prompt, n_decode;   /* tokens computed by each */
    uint32_t n_reused;             /* tokens that sync found already computed */
    uint32_t n_dropped;            /* steps computed ahead of the end of a generation, in vain */
    uint64_t compile_ns;           /* plans to programs: what pipelines are not built yet, buffers,
                                      command buffers */
    pd_build_stats build;          /* all zero on the CPU */
    uint64_t kv_bytes;             /* device memory of the KV pages */
    uint64_t scratch_bytes;        /* device memory of activations and step buffers */
    uint64_t device_peak_bytes;    /* most device memory this process has held, weights included */
    uint64_t logits_hash;          /* XXH3 of the last full logits read back; 0 if none were */
    pd_step_counts prompt_step;    /* of n_chunk tokens, with all_logits up to the head; all zero
                                      with chunks of one */
    pd_step_counts decode_step;
} pd_session_stats;

/* Programs and the KV pages of a first chunk, or with all_pages all of them; sessions of the same
 * limits share these. Errors: MEMORY_HOST, ARGUMENT, CONTEXT (n_ctx beyond the model's),
 * MEMORY_DEVICE, DEVICE. */
pd_status pd_session_create(pd_model *model, const pd_session_desc *desc, pd_session **out,
                            pd_error *err);
/* From a function that a call on the session is calling: that call is stopped, and the session is
 * gone once it has returned. NULL is allowed. */
void pd_session_destroy(pd_session *session);

/* Makes the sequence equal to ids[0..n_ids): keeps what is computed of it already, drops what
 * follows, computes the rest. Where the two differ before the sequence's end it goes on from the
 * last checkpoint before that, within a window as long as there are checkpoints, so that the bits
 * are those of a session that never went another way (docs/sessions.md). Without any, local layers
 * keep no more than their window: a beginning that ends further back is computed again from the
 * start, any other one stays to its last token. n_ids must be at least 1. The last
 * position is always at hand afterwards for the calls below. Errors: ARGUMENT (an id outside the
 * vocabulary), CONTEXT, CANCELLED (the tokens computed so far stay), DEVICE, DEVICE_LOST, NUMERIC
 * (names the operation). */
pd_status pd_session_sync(pd_session *session, const uint32_t *ids, size_t n_ids, pd_error *err);

/* Tokens and images in the order of the sequence. */
typedef struct pd_prompt {
    const uint32_t *ids; /* PD_TOKEN_IMAGE stands for all rows of the next image, and for nothing
                            else: its markers and newlines are tokens of their own */
    size_t n_ids;
    const pd_image *images; /* as many as there are PD_TOKEN_IMAGE; only needed during the call */
    size_t n_images;
} pd_prompt;

/* Positions that a prompt takes. */
uint64_t pd_prompt_count(const pd_model *model, const pd_prompt *prompt);

/* pd_session_sync with images, which are known by their pixels: what was computed behind the same
 * image stays. An image's rows see each other, in both directions, and are computed at once. Errors
 * besides: ARGUMENT (no image encoder, the counts of images and placeholders differ). */
pd_status pd_session_sync_prompt(pd_session *session, const pd_prompt *prompt, pd_error *err);

uint32_t pd_session_count(const pd_session *session);   /* tokens in the sequence */
uint32_t pd_session_n_ctx(const pd_session *session);   /* positions it can hold */
uint32_t pd_session_n_chunk(const pd_session *session); /* tokens it computes at once */

/* Forgets what follows the first n positions, and more where local layers have lost what they would
 * need: *kept positions stay, up to the last checkpoint then. The next sync, or generation if the
 * last logits were kept, goes on from there. Errors: ARGUMENT. */
pd_status pd_session_rewind(pd_session *session, uint32_t n, uint32_t *kept, pd_error *err);

/* A session with the same sequence, for another continuation: what is computed is shared until one
 * of them writes behind it. Errors: ARGUMENT, MEMORY_HOST, and pd_session_logits's. */
pd_status pd_session_fork(pd_session *session, pd_session **out, pd_error *err);

/* The sequence as a file: tokens, images by their hashes, K and V, checkpoints and the logits kept
 * with them; in front of it the caller's own note of n_note bytes (NULL, 0: none). The file appears
 * whole or not at all, under its name. Errors: IO, MEMORY_HOST, DEVICE. */
pd_status pd_session_save(pd_session *session, const char *path, const void *note, size_t n_note,
                          pd_error *err);
/* Takes the sequence's place; whatever fails leaves it empty, or as it was while the file is being
 * checked. A file of another kind of device is read: what follows is then what that device would
 * make of it but for rounding. Errors: IO, FORMAT (damaged, truncated, no session file), MODEL (of
 * another model), ARGUMENT (of another precision), CONTEXT (more positions than this session has),
 * MEMORY_DEVICE, MEMORY_HOST, DEVICE. */
pd_status pd_session_load(pd_session *session, const char *path, pd_error *err);

/* What a session file says to anybody, with or without its model. */
#define PD_SESSION_FILE_MAGIC "PDSESS" /* every one begins so, whatever its version */
typedef struct pd_session_file {
    pd_device_kind device; /* computed it: compare with pd_model_get_device's */
    char *note;            /* [n_note], and a zero behind them */
    size_t n_note;
} pd_session_file;
/* Reads all of the file, and checks it. Errors: IO, FORMAT, MEMORY_HOST; *out is empty then. */
pd_status pd_session_file_read(const char *path, pd_session_file *out, pd_error *err);
void pd_session_file_free(pd_session_file *file); /* NULL is allowed */

/* The most probable next token; one integer comes back from the device. */
pd_status pd_session_argmax(pd_session *session, uint32_t *id, pd_error *err);

/* Logits of the last position, [n_vocab], valid until the next call on the session. */
pd_status pd_session_logits(pd_session *session, const float **logits, pd_error *err);

/* A token and the natural logarithm of its probability by the logits as they are, over all ids and
 * without bias, penalties and temperature. */
typedef struct pd_log_prob {
    uint32_t id;
    float log_prob;
} pd_log_prob;
enum { PD_MAX_TOP_LOG_PROBS = 256 };
/* The most probable next tokens of those that can be drawn, best first; *n_top: how many there are.
 * Errors: ARGUMENT (n_max above PD_MAX_TOP_LOG_PROBS), and pd_session_logits's. */
pd_status pd_session_top_log_probs(pd_session *session, pd_log_prob *top, uint32_t n_max,
                                   uint32_t *n_top, pd_error *err);

/* Draws the next token; greedy samplers take pd_session_argmax's way. */
pd_status pd_session_sample(pd_session *session, pd_sampler *sampler, uint32_t *id, pd_error *err);

/* Gets a token as soon as it is drawn; return false to stop. */
typedef bool (*pd_token_fn)(void *ctx, uint32_t id);

/* The same with the log-probabilities of the token and of the most probable ones. */
typedef bool (*pd_drawn_fn)(void *ctx, pd_log_prob drawn, const pd_log_prob *top, uint32_t n_top);

typedef struct pd_generate_desc {
    uint32_t n_max;   /* tokens at most; default: as many as the context leaves room for */
    bool ignore_stop; /* default: a stop token (pd_model_is_stop) is the last one */
    pd_token_fn fn;   /* may be NULL */
    void *fn_ctx;
    pd_drawn_fn drawn_fn; /* in place of fn, with fn_ctx; the host draws then */
    uint32_t n_top;       /* tokens that drawn_fn gets; at most PD_MAX_TOP_LOG_PROBS */
} pd_generate_desc;

/* Continues the sequence: draws a token, hands it to fn, computes it, draws the next one, until one
 * of the above says stop or the context is full. The last token handed over is not computed: all
 * others are in the sequence afterwards; a generation that follows without a sync computes it first
 * and goes on behind it, also after CANCELLED. Gives the same tokens as pd_session_sample and
 * pd_session_sync in turns would, but a GPU draws them itself and is some steps ahead of the host,
 * unless the sampler has temp above 0 and top_k 0 or above 256, penalties or a bias, or drawn_fn is
 * there. Errors: as sync and sample; CANCELLED and failures leave what was computed. */
pd_status pd_session_generate(pd_session *session, pd_sampler *sampler,
                              const pd_generate_desc *desc, pd_error *err);

/* Asks a running call to stop soon with PD_ERR_CANCELLED. From any thread or signal handler; stays
 * set until pd_session_resume. What a stopped generation has computed then has its logits like any
 * other sequence; a stopped sync has to be asked for again. */
void pd_session_cancel(pd_session *session);
void pd_session_resume(pd_session *session);

const pd_session_stats *pd_session_get_stats(pd_session *session);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#include "peridot_text.h"

#endif
