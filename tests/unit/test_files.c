/* Whole files through the library: made up, checked, quantised, compared, converted, and stopped.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/os_file.h"
#include "base/temp.h"
#include "peridot_files.h"

static char folder[PD_TEMP_PATH];
static pd_error err;

static void must(pd_status status) {
    if (status != PD_OK) fail_msg("%s: %s", pd_status_name(status), err.message);
}

static void verified(void **state) {
    (void)state;
    pd_synth_report made;
    pd_verification *v;
    must(pd_files_synth("a.gguf", NULL, &made, &err));
    assert_string_equal(made.preset, "tiny");
    assert_string_equal(made.type, "Q4_0");
    must(pd_files_verify("a.gguf", NULL, &v, &err));
    assert_int_equal(v->n_tensors, made.n_tensors);
    assert_int_equal(v->n_files, 1);
    assert_int_equal(strlen(v->files[0].sha256), 64);
    assert_true(v->n_bytes > made.n_bytes);
    assert_int_equal(v->n_wrong, 0);
    assert_int_equal(v->unusable.status, PD_OK);
    assert_string_equal(v->tensors[0].name, "token_embd.weight");
    pd_verification_free(v);
}

static void quantised_and_compared(void **state) {
    (void)state;
    pd_quantize_report r;
    pd_comparison *c;
    must(pd_files_synth("f32.gguf", &(pd_synth_desc){.type = "f32"}, NULL, &err));
    must(pd_files_quantize("f32.gguf", "none.gguf", "q8_0", &(pd_quantize_desc){.dry_run = true},
                           &r, &err));
    assert_int_equal(access("none.gguf", F_OK), -1);
    assert_int_equal(r.ns, 0);
    must(pd_files_quantize("f32.gguf", "q8.gguf", "q8_0", NULL, &r, &err));
    assert_true(r.n_groups >= 2 && r.out_bytes < r.in_bytes && r.ns > 0);
    must(pd_files_compare("f32.gguf", "q8.gguf", NULL, &c, &err));
    assert_int_equal(c->n_tensors, r.n_tensors);
    assert_true(c->n_tensors_differ > 0 && c->n_tensors_differ < c->n_tensors);
    assert_int_equal(c->n_settings_differ, 2); /* and the version of quantisation */
    assert_string_equal(c->settings[0].key, "general.file_type");
    assert_string_equal(c->settings[0].a.kind, "u32");
    assert_string_equal(c->settings[0].b.kind, "u32");
    assert_true(c->settings[0].a.number == 0 && c->settings[0].b.number == 7);
    assert_null(c->settings[0].a.text);
    assert_int_equal(c->tensors[0].shape_a[0], 1);
    assert_true(c->tensors[0].shape_a[3] > 1 &&
                c->tensors[0].shape_a[3] == c->tensors[0].shape_b[3]);
    assert_string_equal(c->tensors[0].type_b, "Q8_0");
    assert_true(c->tensors[0].rms > 0 && c->tensors[0].rms < 0.02);
    pd_comparison_free(c);
    must(pd_files_compare("q8.gguf", "q8.gguf", NULL, &c, &err));
    assert_int_equal(c->n_tensors_differ + c->n_settings_differ, 0);
    pd_comparison_free(c);
}

typedef struct follower {
    uint32_t n_written, n_began;
    bool stop;
} follower;

static void follow_written(void *ctx, const pd_written_file *file) {
    follower *f = ctx;
    assert_int_equal(access(file->path, F_OK), 0);
    f->n_written++;
}

static bool follow(void *ctx, uint64_t bytes_done, uint64_t bytes_total) {
    follower *f = ctx;
    assert_true(bytes_done <= bytes_total);
    f->n_began += bytes_done == 0;
    return !f->stop;
}

static void converted(void **state) {
    (void)state;
    follower f = {0};
    const pd_convert_desc desc = {.written = follow_written,
                                  .written_ctx = &f,
                                  .work = {.progress = follow, .progress_ctx = &f}};
    must(pd_files_synth("ck", &(pd_synth_desc){.kind = PD_SYNTH_CHECKPOINT}, NULL, &err));
    must(pd_files_convert("ck", "m.gguf", &desc, &err));
    assert_int_equal(f.n_written, 2);
    assert_int_equal(f.n_began, 2);
    assert_int_equal(access("mmproj-m.gguf", F_OK), 0);
}

/* Of two models: settings that only one has, of other lengths, texts. */
static void settings_compared(void **state) {
    (void)state;
    pd_comparison *c;
    bool has_text = false, has_array = false, has_absent = false;
    must(pd_files_synth("other.gguf", &(pd_synth_desc){.n_vocab = 700}, NULL, &err));
    must(pd_files_synth("mm.gguf", &(pd_synth_desc){.kind = PD_SYNTH_MMPROJ}, NULL, &err));
    must(pd_files_compare("other.gguf", "mm.gguf", NULL, &c, &err));
    for (uint64_t i = 0; i < c->n_settings_differ; i++) {
        const pd_compared_setting *s = &c->settings[i];
        if (strcmp(s->key, "general.architecture") == 0) {
            has_text = true;
            assert_string_equal(s->a.text, "gemma3");
            assert_string_equal(s->b.text, "clip");
            assert_int_equal(s->b.n, 4);
        }
        if (strcmp(s->key, "tokenizer.ggml.tokens") == 0) {
            has_array = true;
            assert_string_equal(s->a.kind, "array");
            assert_string_equal(s->a.item_kind, "string");
            assert_int_equal(s->a.n, 700);
            assert_null(s->b.kind);
        }
        has_absent |= !s->a.kind;
    }
    assert_true(has_text && has_array && has_absent);
    pd_comparison_free(c);
}

/* The image encoder's target becomes a folder while it is being written. */
static bool block_second(void *ctx, uint64_t bytes_done, uint64_t bytes_total) {
    follower *f = ctx;
    f->n_began += bytes_done == 0;
    if (f->n_began == 2 && bytes_done == bytes_total)
        (void)pd_folder_make("mmproj-both.gguf", 0777);
    return true;
}

static void both_or_none(void **state) {
    (void)state;
    follower f = {0};
    const pd_convert_desc desc = {.written = follow_written,
                                  .written_ctx = &f,
                                  .work = {.progress = block_second, .progress_ctx = &f}};
    assert_int_equal(pd_files_convert("ck", "both.gguf", &desc, &err), PD_ERR_IO);
    assert_non_null(strstr(err.message, "mmproj-both.gguf"));
    assert_int_equal(f.n_written, 0);
    assert_int_equal(access("both.gguf", F_OK), -1);
    assert_int_equal(rmdir("mmproj-both.gguf"), 0);

    must(pd_files_synth("both.gguf", NULL, NULL, &err)); /* one that is replaced comes back */
    f = (follower){0};
    assert_int_equal(pd_files_convert("ck", "both.gguf", &desc, &err), PD_ERR_IO);
    pd_comparison *c;
    must(pd_files_compare("a.gguf", "both.gguf", NULL, &c, &err));
    assert_int_equal(c->n_tensors_differ + c->n_settings_differ, 0);
    pd_comparison_free(c);
    assert_int_equal(system("! ls -d *tmp*"), 0);
}

static void stopped(void **state) {
    (void)state;
    follower f = {.stop = true};
    const pd_files_work work = {.n_threads = 1, .progress = follow, .progress_ctx = &f};
    pd_verification *v;
    pd_comparison *c;
    assert_int_equal(pd_files_verify("f32.gguf", &work, &v, &err), PD_ERR_CANCELLED);
    assert_null(v);
    assert_int_equal(pd_files_compare("f32.gguf", "q8.gguf", &work, &c, &err), PD_ERR_CANCELLED);
    assert_null(c);
    assert_int_equal(pd_files_quantize("f32.gguf", "x.gguf", "q4_0",
                                       &(pd_quantize_desc){.work = work}, NULL, &err),
                     PD_ERR_CANCELLED);
    assert_int_equal(pd_files_convert("ck", "x.gguf", &(pd_convert_desc){.work = work}, &err),
                     PD_ERR_CANCELLED);
    assert_int_equal(pd_files_synth("x.gguf", &(pd_synth_desc){.work = work}, NULL, &err),
                     PD_ERR_CANCELLED);
    assert_int_equal(access("x.gguf", F_OK), -1);
    assert_int_equal(pd_files_synth("other",
                                    &(pd_synth_desc){.kind = PD_SYNTH_CHECKPOINT, .work = work},
                                    NULL, &err),
                     PD_ERR_CANCELLED);
    assert_int_equal(access("other", F_OK), -1);
}

static int enter_folder(void **state) {
    (void)state;
    return pd_temp_folder_make(folder, NULL) == PD_OK && chdir(folder) == 0 ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    pd_temp_folder_remove(folder);
    return access(folder, F_OK) == 0 ? -1 : 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verified),          cmocka_unit_test(quantised_and_compared),
        cmocka_unit_test(settings_compared), cmocka_unit_test(converted),
        cmocka_unit_test(both_or_none),      cmocka_unit_test(stopped),
    };
    return cmocka_run_group_tests(tests, enter_folder, remove_folder);
}
