/* Peridot's third header: whole model files in, whole model files out. Converts checkpoints,
 * quantises, reads every byte of a file and says what is wrong with it, compares two files, and
 * makes up models of any size. Conventions as in peridot.h; no device is touched, and any number of
 * threads may be in such calls.
 *
 * A file that is written appears under its name when it is complete, or not at all. What would
 * replace its own input is refused. Memory does not grow with the files: they are mapped and
 * streamed through.
 *
 * Types of values are named as in GGUF, in upper or lower case: q4_0, q4_1, q5_0, q5_1, q8_0, q4_k,
 * q5_k, q6_k, f16, bf16, f32.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PERIDOT_FILES_H
#define PERIDOT_FILES_H

#include "peridot.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default) /* what a library of Peridot exports, and nothing else */
#endif

/* How a long call works and tells where it is; part of every descriptor. */
typedef struct pd_files_work {
    uint32_t n_threads; /* at most 4096; default: one per core */
    /* Called from time to time with the bytes of tensors that were read, or made, in the file at
     * hand; with 0 when a file begins. Return false to stop (PD_ERR_CANCELLED). Default: nobody is
     * told. */
    pd_progress_fn progress;
    void *progress_ctx;
} pd_files_work;

/* ---------------------------------------------------------------------------------------------
 * Checkpoints
 * ------------------------------------------------------------------------------------------- */

/* A file that was written. */
typedef struct pd_written_file {
    const char *path; /* valid during the call */
    const char *type; /* of the layers' matrices: "Q4_0" */
    uint32_t n_tensors;
    uint64_t in_bytes, out_bytes; /* of the tensors, before and after */
    uint64_t ns;
} pd_written_file;
typedef void (*pd_written_fn)(void *ctx, const pd_written_file *file);

typedef struct pd_convert_desc {
    const char *type;        /* of the layers' matrices; default: "q4_0" */
    const char *embedding;   /* type of the embedding; default: "q6_k" for types of 4 to 6 bits, or
                                "q8_0" where rows are no multiple of 256; else as `type` */
    const char *mmproj;      /* where the image encoder goes; default: "mmproj-" and the name of the
                                model's file, beside it */
    const char *mmproj_type; /* of its layers' matrices; default: "f16" */
    bool no_mmproj;          /* leave the image encoder out */
    const char *lora;        /* folder of an adapter in PEFT's layout, merged in; default: none */
    pd_written_fn written;   /* called once a file has its name; default: nobody is told */
    void *written_ctx;
    pd_files_work work;
} pd_convert_desc;

/* Turns a checkpoint in Hugging Face's layout (a folder with config.json, safetensors files and the
 * tokenizer's files) into GGUF files: the text model at `path` and, where the checkpoint has one,
 * its image encoder. They get their names when both are complete. Errors: ARGUMENT (an unknown
 * type, one whose blocks do not divide the rows of an `embedding` that was named, an `mmproj`
 * without an image encoder, paths that are one file), IO, FORMAT (damaged, or values that the type
 * cannot hold), UNSUPPORTED (another family, or an adapter that is more than W + scale * B A),
 * MODEL (tensors that are missing or of another shape), MEMORY_HOST, CANCELLED. */
pd_status pd_files_convert(const char *folder, const char *path, const pd_convert_desc *desc,
                           pd_error *err);

/* ---------------------------------------------------------------------------------------------
 * Quantising
 * ------------------------------------------------------------------------------------------- */

typedef struct pd_quantize_desc {
    const char *embedding; /* type of the embedding and the output matrix; it must fit. Default: as
                              in pd_convert_desc */
    bool pure;    /* they get the type of all other matrices; not together with `embedding` */
    bool dry_run; /* write nothing: the report is what would be done */
    pd_files_work work;
} pd_quantize_desc;

/* Tensors with the same types before and after. */
typedef struct pd_quantize_group {
    const char *from, *to; /* "F16", "Q4_0"; equal: copied byte for byte */
    bool is_head;          /* the embedding, or the output matrix */
    uint64_t n_tensors, in_bytes, out_bytes;
} pd_quantize_group;

enum { PD_MAX_QUANTIZE_GROUPS = 64 };

typedef struct pd_quantize_report {
    uint64_t n_tensors, n_values, in_bytes, out_bytes; /* of the tensors */
    uint64_t n_fallback;    /* tensors whose rows the blocks of the wanted type do not divide */
    uint64_t n_requantised; /* tensors that had been quantised before */
    uint64_t ns;            /* of writing; 0 after a dry run */
    uint32_t n_groups;      /* in the order of their first tensors */
    pd_quantize_group groups[PD_MAX_QUANTIZE_GROUPS];
} pd_quantize_report;

/* Writes a copy of a GGUF file, a model or an image encoder (of a split one, `in` is the first
 * part), with its matrices in another type, by llama.cpp's rules and reference quantisers. `report`
 * may be NULL. Errors: ARGUMENT (an unknown type, an `embedding` that does not fit or that there is
 * nothing to use for, paths that are one file), IO, FORMAT (damaged, or values that the type cannot
 * hold), UNSUPPORTED, MEMORY_HOST, CANCELLED. */
pd_status pd_files_quantize(const char *in, const char *out, const char *type,
                            const pd_quantize_desc *desc, pd_quantize_report *report,
                            pd_error *err);

/* ---------------------------------------------------------------------------------------------
 * Checking
 * ------------------------------------------------------------------------------------------- */

typedef struct pd_verified_file { /* of a split model, one of its files */
    const char *name;
    uint64_t n_bytes;
    char xxh3[17], sha256[65]; /* lower-case hexadecimal, as xxhsum -H3 and sha256sum print them */
} pd_verified_file;

typedef struct pd_verified_tensor {
    const char *name, *type; /* "blk.0.attn_q.weight", "Q4_0" */
    uint64_t n_values;
    uint64_t n_not_finite; /* NaN or infinite: what follows is about the others */
    uint64_t n_zero;
    float min, max;
    double mean, rms;  /* 0 when there are no others */
    const char *wrong; /* why no model can have these values, in a sentence; empty: nothing */
    const char *odd;   /* why they are worth a look; empty: nothing */
} pd_verified_tensor;

typedef struct pd_verification {
    const char *path;
    uint64_t n_bytes;              /* of all files */
    const pd_verified_file *files; /* [n_files] */
    uint32_t n_files;
    const pd_verified_tensor *tensors; /* [n_tensors], in the file's order */
    uint64_t n_tensors;
    uint64_t n_wrong, first_wrong; /* tensors that are wrong, and the first one's index */
    pd_error unusable; /* what a run would refuse the file for; its status is PD_OK: nothing */
} pd_verification;

/* Reads every byte of a GGUF file once: its structure is checked as a run does, every value is
 * decoded and looked at, and digests are made. *out belongs to the caller; it keeps the file
 * mapped. What is wrong with the values, or with the structure of a file that can be read, is no
 * error but in *out. Errors: IO, FORMAT (damaged so that its tensors are not to be found),
 * UNSUPPORTED, MEMORY_HOST, CANCELLED, INTERNAL. */
pd_status pd_files_verify(const char *path, const pd_files_work *work, pd_verification **out,
                          pd_error *err);
void pd_verification_free(pd_verification *v); /* NULL is allowed */

/* ---------------------------------------------------------------------------------------------
 * Comparing
 * ------------------------------------------------------------------------------------------- */

/* A tensor of either file. What stands behind same_shape is 0 unless that is set. */
typedef struct pd_compared_tensor {
    const char *name;
    const char *type_a, *type_b; /* NULL: not in that file */
    uint64_t n_bytes_a, n_bytes_b;
    bool same_shape;
    bool same_bytes; /* and type: nothing differs */
    uint64_t n_values, n_differ;
    double rms;        /* root mean square of b - a, relative to that of a */
    double worst;      /* largest |b - a|; infinite where only one of them is finite */
    uint64_t worst_at; /* position of that value */
    uint64_t shape_a[4], shape_b[4]; /* slowest dimension first; 1 where there are fewer */
} pd_compared_tensor;

/* A setting's value in one of the files. */
typedef struct pd_setting {
    const char *kind;      /* GGUF's: "u32", "f32", "bool", "string", "array", ...; NULL: absent */
    const char *item_kind; /* of an array, whose items are not here; else NULL */
    uint64_t n;            /* items of an array, bytes of a string; else 1 */
    const char *text;      /* a string's bytes and a zero; else NULL */
    double number;         /* of numbers; a bool is 0 or 1 */
} pd_setting;

/* One that differs: in its value, its kind, or by being absent from a file. */
typedef struct pd_compared_setting {
    const char *key;
    pd_setting a, b;
} pd_compared_setting;

typedef struct pd_comparison {
    const pd_compared_tensor *tensors; /* [n_tensors]: those of a in its order, then those of b
                                          alone */
    uint64_t n_tensors;
    uint64_t n_tensors_differ, n_settings_differ;
    const pd_compared_setting *settings; /* [n_settings_differ], in the same order */
} pd_comparison;

/* Compares two GGUF files by their settings and, value by value, by their tensors' names: a file
 * and its quantised copy show what that cost. *out belongs to the caller; it keeps the files
 * mapped. Errors: IO, FORMAT, UNSUPPORTED, MEMORY_HOST, CANCELLED. */
pd_status pd_files_compare(const char *a, const char *b, const pd_files_work *work,
                           pd_comparison **out, pd_error *err);
void pd_comparison_free(pd_comparison *c); /* NULL is allowed */

/* ---------------------------------------------------------------------------------------------
 * Made-up models
 * ------------------------------------------------------------------------------------------- */

typedef enum pd_synth_kind {
    PD_SYNTH_TEXT,      /* a GGUF file with a text model */
    PD_SYNTH_MMPROJ,    /* a GGUF file with the image encoder of such a model */
    PD_SYNTH_CHECKPOINT /* a folder in Hugging Face's layout, in bf16, for pd_files_convert */
} pd_synth_kind;

typedef struct pd_synth_desc {
    pd_synth_kind kind;
    const char *preset; /* shape: "270m", "1b", "4b", "12b", "27b"; "odd" and "odd256" (the other
                           one without K-quants) for tests of kernels; default: "tiny" */
    /* Of GGUF files. The layers' matrices; default: "q4_0", of an image encoder "f16". */
    const char *type;
    const char *embedding; /* of text models; default: as in pd_convert_desc */
    uint32_t n_layers;     /* at most 256; default: the preset's */
    uint32_t n_vocab;      /* of texts: from 600 to 262208; default: the preset's */
    uint32_t n_ctx;        /* of texts: from 64 to 2^24; default: the preset's */
    const char *tokenizer; /* of texts: a tokenizer.json to take the vocabulary from; default: a
                              made-up one */
    uint64_t seed;         /* of the weights: equal descriptors give equal bytes */
    pd_files_work work;    /* of it n_threads is not used */
} pd_synth_desc;

typedef struct pd_synth_report {
    const char *preset;
    const char *type, *embedding; /* "Q4_0"; embedding: NULL for an image encoder */
    uint32_t n_tensors, n_files;  /* n_files: with tensors in them */
    uint64_t n_bytes;             /* of the tensors */
} pd_synth_report;

/* Writes a model of the real layout with random weights to `path`, a file or a folder: it computes
 * what a trained one of its shape computes, at the same speed, and says nothing of sense. `report`
 * may be NULL. Errors: ARGUMENT (an unknown preset or type, numbers out of range, fields that are
 * not for this kind, a preset without an image encoder, an `embedding` that does not fit), IO,
 * FORMAT (of the tokenizer), MEMORY_HOST, CANCELLED. */
pd_status pd_files_synth(const char *path, const pd_synth_desc *desc, pd_synth_report *report,
                         pd_error *err);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
