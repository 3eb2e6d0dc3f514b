/* Memory: what a backend holds is counted, given back, and kept below the limit. Every backend by
 * the same rules, through its public functions alone.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ops/harness.h"

static const bool one_local_layer[] = {false};

/* 100 local pages of 64 positions, K and V, one head of 64 values of 4 bytes: 3.125 MiB. */
static const pd_kv_store_desc store = {.shape = {.n_layers = 1,
                                                 .n_heads = 1,
                                                 .n_kv_heads = 1,
                                                 .head_dim = 64,
                                                 .f32 = true,
                                                 .layer_is_global = one_local_layer},
                                       .n_global_pages = 3,
                                       .n_local_pages = 100};
static const uint64_t store_bytes = 100ull * 2 * 64 * 64 * 4;

static void test_accounting(void **state) {
    (void)state;
    for (uint32_t d = 0; d < ops_n_devices; d++) {
        pd_backend *b = ops_devices[d].backend;
        pd_backend_stats before, during, after;
        pd_kv_store *kv;
        pd_error err;
        b->v->stats(b, &before);
        ops_check(b->v->kv_create(b, &store, &kv, &err), &err);
        b->v->stats(b, &during);
        b->v->kv_destroy(b, kv);
        b->v->stats(b, &after);
        assert_true(during.kv_bytes - before.kv_bytes >= store_bytes);
        assert_true(during.kv_bytes - before.kv_bytes < store_bytes + (1 << 20));
        assert_true(during.peak_bytes >= during.kv_bytes);
        assert_int_equal(after.kv_bytes, before.kv_bytes);
        assert_true(after.peak_bytes >= during.peak_bytes);
    }
}

static void test_limit(void **state) {
    (void)state;
    for (uint32_t d = 0; d < ops_n_devices; d++) {
        pd_backend_desc desc = {.device = ops_devices[d].device, .memory_limit_bytes = 2 << 20};
        pd_backend *b;
        pd_kv_store *kv = NULL;
        pd_backend_stats stats;
        pd_error err;
        ops_check(pd_backend_open(&desc, &b, &err), &err);
        assert_int_equal(b->v->kv_create(b, &store, &kv, &err), PD_ERR_MEMORY_DEVICE);
        assert_null(kv);
        assert_non_null(strstr(err.message, "missing"));
        b->v->stats(b, &stats);
        assert_int_equal(stats.kv_bytes, 0);
        assert_int_equal(stats.limit_bytes, 2 << 20);
        b->v->close(b);
    }
}

/* A weight that two operations and two plans share is counted once. */
static void test_shared_weight(void **state) {
    (void)state;
    enum { N = 64, K = 64 };
    const pd_tensor *w = ops_tensor(PD_TYPE_F32, N, K, 1.0f);
    pd_plan plan;
    pd_error err;
    pd_plan_init(&plan, &(pd_plan_desc){.name = "shared",
                                        .precision = PD_PRECISION_EXACT,
                                        .max_rows = 1,
                                        .max_outs = 1,
                                        .max_seqs = 1,
                                        .max_positions = 64});
    pd_buf_id x = pd_plan_add_buf(&plan, "x", PD_ROWS_TOKENS, K, PD_BUF_SCRATCH);
    pd_buf_id y = pd_plan_add_buf(&plan, "y", PD_ROWS_TOKENS, N, PD_BUF_OUTPUT);
    pd_op_embed embed = {.table = w, .embeddings = PD_BUF_NONE, .out = x, .scale = 1.0f};
    pd_op_matmul head = {.x = x, .out = y, .n_weights = 1, .weights = {w}};
    pd_plan_add_op(&plan, -1, "embed", &(pd_op){.kind = PD_OP_EMBED, .embed = embed});
    pd_plan_add_op(&plan, -1, "head", &(pd_op){.kind = PD_OP_MATMUL, .matmul = head});
    ops_check(pd_plan_finish(&plan, &err), &err);
    for (uint32_t d = 0; d < ops_n_devices; d++) {
        pd_backend *b = ops_devices[d].backend;
        pd_backend_stats before, first, second;
        b->v->stats(b, &before);
        ops_check(b->v->load(b, &plan, NULL, NULL, &err), &err);
        b->v->stats(b, &first);
        ops_check(b->v->load(b, &plan, NULL, NULL, &err), &err);
        b->v->stats(b, &second);
        assert_true(first.weight_bytes - before.weight_bytes >= w->n_bytes);
        assert_true(first.weight_bytes - before.weight_bytes < 2 * w->n_bytes);
        assert_int_equal(second.weight_bytes, first.weight_bytes);
    }
    pd_plan_free(&plan);
}

static bool stop_at_once(void *ctx, uint64_t done, uint64_t total) {
    (void)done, (void)total;
    return ++*(int *)ctx < 0;
}

static void test_cancelled_load(void **state) {
    (void)state;
    const pd_tensor *w = ops_tensor(PD_TYPE_F32, 64, 64, 1.0f);
    pd_plan plan;
    pd_error err;
    pd_plan_init(&plan, &(pd_plan_desc){.name = "cancel",
                                        .precision = PD_PRECISION_EXACT,
                                        .max_rows = 1,
                                        .max_outs = 1,
                                        .max_seqs = 1,
                                        .max_positions = 64});
    pd_buf_id x = pd_plan_add_buf(&plan, "x", PD_ROWS_TOKENS, 64, PD_BUF_OUTPUT);
    pd_op_embed embed = {.table = w, .embeddings = PD_BUF_NONE, .out = x, .scale = 1.0f};
    pd_plan_add_op(&plan, -1, "embed", &(pd_op){.kind = PD_OP_EMBED, .embed = embed});
    ops_check(pd_plan_finish(&plan, &err), &err);
    for (uint32_t d = 0; d < ops_n_devices; d++) {
        pd_backend *b = ops_devices[d].backend;
        int calls = 0;
        assert_int_equal(b->v->load(b, &plan, stop_at_once, &calls, &err), PD_ERR_CANCELLED);
        assert_true(calls >= 1);
        ops_check(b->v->load(b, &plan, NULL, NULL, &err), &err);
    }
    pd_plan_free(&plan);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accounting), cmocka_unit_test(test_limit),
        cmocka_unit_test(test_shared_weight), cmocka_unit_test(test_cancelled_load),
        cmocka_unit_test(check_validation_silent)};
    PRINT_LOG();
    return cmocka_run_group_tests_name("ops.limits", tests, ops_setup, ops_teardown);
}
