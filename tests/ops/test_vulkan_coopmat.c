/* The product on matrix units, shader by shader: its dispatch is made by hand, so that every tile
 * and every size of matrix is tried, whatever the device would choose.
 *
 * On any Vulkan device runs the twin of the kernel that needs no matrix units
 * (shaders/coopmat.glsl): same tiles, same indices, same tails. Where the device has matrix units,
 * the kernel itself runs as well, with the device's size of matrix.
 *
 * The truth is a sum in double over the decoded weights. x is made of halves, so that it is exact;
 * weights become halves: at worst cut off, an error of up to 2^-10 / m for mantissas m in 1..2,
 * whose mean square is 2^-20 / 3 / 2 = 1.6e-7. That is the nmse to expect; a hundred results may
 * come to three times as much, and the worst of them lies at 5 standard deviations. GEGLU
 * multiplies two such sums, y = gelu(a) b with dy = gelu'(a) b da + gelu(a) db: for normal a and b
 * the mean squares of both terms are alike (E gelu'^2 E a^2 = 1.07 E gelu^2), so that nmse doubles;
 * and each is up to 5 standard deviations large, so that its worst element is up to 5 times as far
 * off. Weights that are halves already leave the rounding of f32 sums (ops/harness.h). A wrong
 * weight among 1000 changes a sum by 1/sqrt(1000) = 3e-2.
 *
 * SPDX-License-Identifier: MIT
 */
#include "ops/harness.h"

#include "args.h"
#include "backend/vulkan/kernels/descriptors.h"
#include "backend/vulkan/kernels/kernels.h"
#include "backend/vulkan/program/upload.h"
#include "support_skip.h"

#define NMSE_HALF  4.8e-7
#define WORST_HALF 3.5e-3

enum { OUT_FIRST = 4, BEHIND = 4, EXTRA_ROWS = 2, LARGE = 1 << 20 };

typedef struct product {
    pd_type type;
    uint32_t n, k, rows; /* n: weight rows of all parts together */
    bool geglu;
    float x_size;
    uint32_t
        y_format; /* PD_ACT_F16: geglu, and n a multiple of 8; or BIAS_GELU, n a multiple of 4 */
    uint32_t epilogue; /* PD_VK_EPILOGUE_BIAS and what follows, without geglu; or 0 */
    uint32_t n_zeros;  /* columns behind the last */
} product;

static pd_vk_backend *vulkan;
static bool has_units;          /* of the device, */
static pd_vk_coopmat own_shape; /* before a test says otherwise */

/* ---- the truth ------------------------------------------------------------------------------ */

static double gelu(double x) {
    return 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
}

static double dot(const float *w, const float *x, uint32_t k) {
    double sum = 0;
    for (uint32_t i = 0; i < k; i++) sum += (double)w[i] * (double)x[i];
    return sum;
}

static void decode_row(const pd_tensor *t, uint64_t row, float *w) {
    uint64_t bytes = pd_type_row_bytes(pd_type_get(t->type), t->ne[0]);
    pd_decode(t->type, (const uint8_t *)t->data + row * bytes, t->ne[0], w);
}

static uint32_t x_stride(const product *p) {
    return (uint32_t)pd_round_up(p->k, 32);
}

static uint32_t width_of(const product *p) {
    return (p->geglu ? p->n / 2 : p->n) + p->n_zeros;
}

/* What BIAS_ADD finds in column o of every row. */
static float old_value(uint32_t o) {
    return (float)(o % 7) - 3.0f;
}

static double finished(const product *p, const float *bias, uint32_t o, double v) {
    if (p->epilogue >= PD_VK_EPILOGUE_BIAS) v += (double)bias[o];
    if (p->epilogue == PD_VK_EPILOGUE_BIAS_GELU) return gelu(v);
    return p->epilogue == PD_VK_EPILOGUE_BIAS_ADD ? v + (double)old_value(o) : v;
}

/* [rows][width], width = n or n / 2, and zeros behind */
static float *expected(const product *p, const pd_tensor *const *parts, const float *bias,
                       const float *x) {
    uint32_t width = width_of(p), n = width - p->n_zeros;
    float *y = ops_alloc((size_t)width * p->rows, sizeof *y);
    float *gate = ops_alloc(p->k, sizeof *gate), *up = ops_alloc(p->k, sizeof *up);
    for (uint32_t o = 0; o < n; o++) {
        decode_row(parts[0], o, gate);
        if (p->geglu) decode_row(parts[1], o, up);
        for (uint32_t r = 0; r < p->rows; r++) {
            const float *row = x + (size_t)r * x_stride(p);
            double v = dot(gate, row, p->k);
            y[(size_t)r * width + o] =
                (float)(p->geglu ? gelu(v) * dot(up, row, p->k) : finished(p, bias, o, v));
        }
    }
    return y;
}

/* ---- the dispatch --------------------------------------------------------------------------- */

static pd_vk_buffer make_buffer(uint64_t bytes) {
    pd_vk_buffer b;
    pd_error err;
    ops_check(pd_vk_buffer_create(&vulkan->memory, PD_VK_STEP, PD_VK_FOR_SCRATCH, bytes, "a test",
                                  &b, &err),
              &err);
    return b;
}

/* Rounds x to what PD_ACT_F16 can hold and writes it that way. */
static void write_x(float *x, size_t n, uint16_t *to) {
    for (size_t i = 0; i < n; i++) {
        to[i] = pd_f32_to_f16(x[i] / (float)PD_ACT_F16_SCALE);
        x[i] = pd_f16_to_f32(to[i]) * (float)PD_ACT_F16_SCALE;
    }
}

/* In two parts, of the first tile of weight rows and of the rest. */
static void dispatch_parts(const pd_vk_product *kernel, const pd_vk_pipeline *pipeline,
                           VkCommandBuffer cmd, struct pd_args_matmul args) {
    const struct VolkDeviceTable *vk = &vulkan->device->vk;
    uint32_t tiles = (args.n_weight_rows + args.n_zeros + kernel->tile_m - 1) / kernel->tile_m;
    for (uint32_t first = 0, n = 1; first < tiles; first += n, n = tiles - first) {
        args.first_tile = first;
        vk->vkCmdPushConstants(cmd, pipeline->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof args,
                               &args);
        vk->vkCmdDispatch(cmd, n, (args.n_rows + kernel->tile_n - 1) / kernel->tile_n, 1);
    }
}

static void dispatch(const pd_vk_product *kernel, const struct pd_args_matmul *args,
                     const pd_vk_slice *buffers) {
    const struct VolkDeviceTable *vk = &vulkan->device->vk;
    const pd_vk_pipeline *pipeline;
    VkCommandBuffer cmd;
    VkDescriptorPool pool;
    pd_error err;
    ops_check(pd_vk_pipeline_get(vulkan->pipelines, &kernel->desc, &pipeline, &err), &err);
    VkDescriptorSet set;
    ops_check(pd_vk_pool_create(vulkan->device, 1, PD_COOPMAT_BINDINGS, &pool, &err), &err);
    ops_check(pd_vk_set_create(vulkan->device, pool, pipeline, buffers, &set, &err), &err);
    ops_check(pd_vk_begin_once(vulkan, &cmd, &err), &err);
    vk->vkCmdBindPipeline(cmd, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline->handle);
    vk->vkCmdBindDescriptorSets(cmd, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline->layout, 0, 1, &set,
                                0, NULL);
    dispatch_parts(kernel, pipeline, cmd, *args);
    VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                               .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
                               .dstAccessMask = VK_ACCESS_HOST_READ_BIT};
    vk->vkCmdPipelineBarrier(cmd, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_PIPELINE_STAGE_HOST_BIT,
                             0, 1, &barrier, 0, NULL, 0, NULL);
    ops_check(pd_vk_finish_once(vulkan, cmd, &err), &err);
    vk->vkDestroyDescriptorPool(vulkan->device->handle, pool, NULL);
}

/* ---- one case ------------------------------------------------------------------------------- */

static const pd_vk_matrix *load(const product *p, const pd_tensor **parts) {
    pd_plan plan;
    pd_error err;
    pd_op_matmul mm = {.n_weights = p->geglu ? 2 : 1,
                       .epilogue = p->geglu ? PD_EPILOGUE_GEGLU : PD_EPILOGUE_NONE};
    for (uint32_t i = 0; i < mm.n_weights; i++)
        mm.weights[i] = parts[i] =
            ops_tensor(p->type, p->n / mm.n_weights, p->k, 1.0f / sqrtf((float)p->k));
    pd_plan_init(&plan, &(pd_plan_desc){.name = "coopmat", .max_rows = 1, .max_positions = 64});
    mm.x = pd_plan_add_buf(&plan, "x", PD_ROWS_TOKENS, x_stride(p), PD_BUF_INPUT);
    mm.out = pd_plan_add_buf(&plan, "out", PD_ROWS_TOKENS, p->n / mm.n_weights, PD_BUF_OUTPUT);
    pd_plan_add_op(&plan, -1, "matmul", &(pd_op){.kind = PD_OP_MATMUL, .matmul = mm});
    ops_check(pd_plan_finish(&plan, &err), &err);
    ops_check(vulkan->base.v->load(&vulkan->base, &plan, NULL, NULL, &err), &err);
    const pd_vk_matrix *m = pd_vk_weights_find(vulkan->weights, parts, mm.n_weights, p->geglu);
    assert_non_null(m);
    assert_int_equal(m->n_slices, 1);
    pd_plan_free(&plan);
    return m;
}

/* Value i of the output in its format. */
static float stored(const void *out, size_t i, uint32_t format) {
    if (format == PD_ACT_F32) return ((const float *)out)[i];
    return pd_f16_to_f32(((const uint16_t *)out)[i]) * (float)PD_ACT_F16_SCALE;
}

/* Takes the results out of rows with OUT_FIRST values before and BEHIND behind them, and checks
 * that nothing else was written. */
static float *collect(const product *p, const void *out, uint32_t width, float untouched) {
    uint32_t stride = OUT_FIRST + width + BEHIND;
    float *y = ops_alloc((size_t)width * p->rows, sizeof *y);
    for (uint32_t r = 0; r < p->rows + EXTRA_ROWS; r++)
        for (uint32_t i = 0; i < stride; i++) {
            bool inside = r < p->rows && i >= OUT_FIRST && i < OUT_FIRST + width;
            float value = stored(out, (size_t)r * stride + i, p->y_format);
            if (inside)
                y[(size_t)r * width + i - OUT_FIRST] = value;
            else if (value != untouched)
                fail_msg("value %u of row %u was written; there are %u rows of %u", i, r, p->rows,
                         width);
        }
    return y;
}

static float *run(const product *p, const pd_vk_product *kernel, const pd_vk_matrix *m,
                  const float *bias, float *x) {
    const float untouched = -12288.0f; /* in both formats */
    uint32_t width = width_of(p), stride = OUT_FIRST + width + BEHIND;
    size_t n_x = (size_t)p->rows * x_stride(p), n_out = (size_t)(p->rows + EXTRA_ROWS) * stride;
    pd_vk_buffer in = make_buffer(n_x * 2), out = make_buffer(n_out * 4);
    float *f32 = (float *)(void *)out.mapped;
    uint16_t *f16 = (uint16_t *)(void *)out.mapped;
    write_x(x, n_x, (uint16_t *)(void *)in.mapped);
    for (size_t i = 0; i < n_out; i++)
        if (p->y_format == PD_ACT_F32)
            f32[i] = untouched;
        else
            f16[i] = pd_f32_to_f16(untouched / (float)PD_ACT_F16_SCALE);
    for (size_t i = 0; p->epilogue == PD_VK_EPILOGUE_BIAS_ADD && i < (size_t)p->rows * width; i++)
        f32[i / width * stride + OUT_FIRST + i % width] = old_value((uint32_t)(i % width));
    /* as in a chain: this matrix' biases lie behind OUT_FIRST others */
    pd_vk_buffer biases = make_buffer(4ull * (OUT_FIRST + p->n));
    memcpy(biases.mapped + 4 * OUT_FIRST, bias, 4ull * p->n);
    const pd_vk_matrix_slice *s = &m->slices[0];
    pd_vk_slice buffers[PD_COOPMAT_BINDINGS] = {
        [PD_BIND_PRODUCT_X] = {in.handle, 0, in.bytes},
        [PD_BIND_PRODUCT_OUT] = {out.handle, 0, out.bytes},
        [PD_BIND_PRODUCT_WEIGHT_Q] = s->q,
        [PD_BIND_PRODUCT_WEIGHT_S] = s->s,
        [PD_BIND_PRODUCT_WEIGHT_H] = s->h,
        [PD_BIND_PRODUCT_BIAS] = {biases.handle, 0, biases.bytes}};
    struct pd_args_matmul args = {.n_weight_rows = m->n_rows,
                                  .n_zeros = p->n_zeros,
                                  .n_blocks = m->n_blocks,
                                  .n_rows = p->rows,
                                  .out_stride = stride,
                                  .out_first = OUT_FIRST};
    dispatch(kernel, &args, buffers);
    float *y = collect(p, out.mapped, width, untouched);
    pd_vk_buffer_destroy(&vulkan->memory, &in);
    pd_vk_buffer_destroy(&vulkan->memory, &out);
    pd_vk_buffer_destroy(&vulkan->memory, &biases);
    return y;
}

/* size: how many weight rows the tile is chosen for, LARGE for the large tile. */
static void check_product(const product *p, uint32_t size, bool twin) {
    pd_vk_caps *caps = &vulkan->device->caps;
    const pd_vk_coopmat *shape = &caps->coopmat_shape;
    const pd_tensor *parts[2];
    const pd_vk_matrix *m = load(p, parts);
    float *x = ops_normals((size_t)p->rows * x_stride(p), p->x_size);
    for (size_t i = 0; i < (size_t)p->rows * x_stride(p); i++)
        if (i % x_stride(p) >= p->k) x[i] = 0;
    pd_vk_product kernel = pd_vk_choose_coopmat(
        caps, &(pd_vk_product_shape){.wtype = m->wtype,
                                     .n_weight_rows = size,
                                     .n_blocks = m->n_blocks,
                                     .max_rows = p->rows,
                                     .epilogue = p->geglu ? PD_VK_EPILOGUE_GEGLU : p->epilogue,
                                     .x_format = PD_ACT_F16,
                                     .y_format = p->y_format});
    if (size == LARGE) assert_int_equal(kernel.tile_m, 128);
    if (twin) kernel.desc.shader = "matmul_coopmat_twin";
    if (!caps->subgroup_size_control) kernel.desc.subgroup_size = 0;
    bool exact = p->type == PD_TYPE_F16 && p->y_format == PD_ACT_F32;
    bool rare_large = p->geglu || p->epilogue == PD_VK_EPILOGUE_BIAS_GELU;
    ops_case c = {.family = twin ? "coopmat twin" : "coopmat",
                  .max_nmse = (exact ? OPS_NMSE_SUM : NMSE_HALF) * (p->geglu ? 2 : 1),
                  .max_worst = (exact ? OPS_WORST_SUM : WORST_HALF) * (rare_large ? 5 : 1)};
    snprintf(c.text, sizeof c.text,
             "%s, %u rows of K %u, %u rows of x%s, epilogue %u, %ux%ux%u, tile %ux%u",
             pd_type_name(p->type), p->n, p->k, p->rows, p->geglu ? ", geglu" : "", p->epilogue,
             shape->m, shape->n, shape->k, kernel.tile_m, kernel.tile_n);
    const float *bias = ops_normals(p->n, 0.5f);
    float *y = run(p, &kernel, m, bias, x);
    ops_judge(&c, "vulkan", y, expected(p, parts, bias, x), (size_t)p->rows * width_of(p));
}

/* ---- the tests ------------------------------------------------------------------------------ */

static const uint32_t ks_of_32[] = {32, 96, 160, 64}, ks_of_256[] = {256, 512, 768, 256};
static const uint32_t row_counts[] = {9, 33, 64, 70, 130, 32, 1, 16};
static const uint32_t output_counts[] = {64, 33, 130, 1, 96, 258};

static void check_types(bool twin) {
    uint32_t n_types;
    const pd_type_info *types = pd_type_list(&n_types);
    for (uint32_t t = 0; t < n_types; t++)
        for (uint32_t i = 0; i < 4; i++) {
            bool k256 = types[t].block_values == 256;
            product p = {.type = types[t].type,
                         .n = i == 3 ? 2 * output_counts[t % 6] : output_counts[(t + i) % 6],
                         .k = k256 ? ks_of_256[i] : ks_of_32[i],
                         .rows = row_counts[(t + 3 * i) % 8],
                         .geglu = i == 3,
                         .x_size = i == 1 ? 1e5f : 1.0f};
            check_product(&p, i == 2 ? LARGE : p.n, twin);
        }
    ops_conclude();
}

static int restore_shape(void **state) {
    (void)state;
    vulkan->device->caps.coopmat_shape = own_shape;
    return 0;
}

/* Every mix of 8 and 16: what drivers list, and more. */
static void twin_of_every_size(void **state) {
    (void)state;
    for (uint32_t i = 0; i < 8; i++) {
        vulkan->device->caps.coopmat_shape =
            (pd_vk_coopmat){i & 1 ? 16 : 8, i & 2 ? 16 : 8, i & 4 ? 16 : 8};
        for (uint32_t large = 0; large < 2; large++) {
            product p = {PD_TYPE_Q4_0,
                         2 * output_counts[i % 6],
                         96,
                         row_counts[i],
                         large == i % 2,
                         1.0f,
                         PD_ACT_F32,
                         0,
                         0};
            check_product(&p, large ? LARGE : p.n, true);
        }
    }
    ops_conclude();
}

static void twin_of_every_type(void **state) {
    (void)state;
    vulkan->device->caps.coopmat_shape = (pd_vk_coopmat){16, 8, 16};
    check_types(true);
}

/* GEGLU's output as the next product reads it. Cutting it off to halves adds an error like that of
 * the weights, and of each result at most 2^-10, where the largest is 13 times the mean: 1.3e-2. */
static void twin_that_writes_halves(void **state) {
    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        vulkan->device->caps.coopmat_shape = (pd_vk_coopmat){i & 1 ? 16 : 8, i & 2 ? 16 : 8, 16};
        product p = {i & 1 ? PD_TYPE_Q4_0 : PD_TYPE_Q8_0,
                     8 * output_counts[1 + i],
                     96,
                     row_counts[i],
                     true,
                     1.0f,
                     PD_ACT_F16,
                     0,
                     0};
        check_product(&p, i == 3 ? LARGE : p.n, true);
    }
    ops_conclude();
}

/* Image encoders: biases, zeros behind the outputs, K that no block divides. A sum with gelu has
 * large elements beside a mean of 0.3: its worst lies as far off as with GEGLU. BIAS_ADD's
 * largest error relative to what it adds to is the smaller for it. */
static void check_epilogues(bool twin) {
    static const uint32_t epilogues[] = {PD_VK_EPILOGUE_BIAS, PD_VK_EPILOGUE_BIAS_GELU,
                                         PD_VK_EPILOGUE_BIAS_ADD};
    static const uint32_t ks[] = {72, 588, 96}, ns[] = {100, 72, 36, 196};
    for (uint32_t i = 0; i < 9; i++) {
        uint32_t n = ns[i % 4], epilogue = epilogues[i % 3];
        bool half = epilogue == PD_VK_EPILOGUE_BIAS_GELU && i % 2;
        product p = {
            .type = i % 3 == 2 && ks[i / 3] == 96 ? PD_TYPE_Q4_0 : PD_TYPE_F16,
            .n = n,
            .k = ks[i / 3],
            .rows = row_counts[i % 8],
            .x_size = 1.0f,
            .y_format = half ? PD_ACT_F16 : PD_ACT_F32,
            .epilogue = epilogue,
            .n_zeros = epilogue == PD_VK_EPILOGUE_BIAS_ADD ? 0 : (uint32_t)pd_round_up(n, 32) - n};
        check_product(&p, i % 3 == i / 3 ? LARGE : p.n, twin);
    }
    ops_conclude();
}

static void twin_of_every_epilogue(void **state) {
    (void)state;
    vulkan->device->caps.coopmat_shape = (pd_vk_coopmat){16, 16, 16};
    check_epilogues(true);
}

static void matrix_units_of_every_epilogue(void **state) {
    (void)state;
    if (!has_units) skip_because("the device has no matrix units, or they may not be used");
    check_epilogues(false);
}

static void twin_of_long_rows(void **state) {
    (void)state;
    vulkan->device->caps.coopmat_shape = (pd_vk_coopmat){8, 16, 16};
    check_product(&(product){PD_TYPE_Q6_K, 51, 2560, 20, false, 1.0f, PD_ACT_F32, 0, 0}, 51, true);
    check_product(&(product){PD_TYPE_F16, 51, 1152, 70, false, 1.0f, PD_ACT_F32, 0, 0}, 51, true);
    ops_conclude();
}

static void matrix_units_of_every_type(void **state) {
    (void)state;
    if (!has_units) skip_because("the device has no matrix units, or they may not be used");
    check_types(false);
}

static void matrix_units_of_long_rows(void **state) {
    (void)state;
    if (!has_units) skip_because("the device has no matrix units, or they may not be used");
    check_product(&(product){PD_TYPE_Q4_0, 600, 640, 70, true, 1.0f, PD_ACT_F16, 0, 0}, 600, false);
    check_product(&(product){PD_TYPE_Q4_0, 600, 6912, 140, false, 1.0f, PD_ACT_F32, 0, 0}, LARGE,
                  false);
    check_product(&(product){PD_TYPE_F16, 600, 1152, 140, false, 1.0f, PD_ACT_F32, 0, 0}, 600,
                  false);
    ops_conclude();
}

static bool open_vulkan(void) {
    const char *name = getenv("PERIDOT_TEST_DEVICES");
    if (!name || strncmp(name, "vulkan", 6) != 0) name = "vulkan:llvmpipe";
    if (!ops_open(name, NULL, false)) return false;
    vulkan = (pd_vk_backend *)ops_devices[0].backend;
    has_units = vulkan->device->caps.coopmat;
    own_shape = vulkan->device->caps.coopmat_shape;
    return true;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(twin_of_every_size, restore_shape),
        cmocka_unit_test_teardown(twin_of_every_type, restore_shape),
        cmocka_unit_test_teardown(twin_that_writes_halves, restore_shape),
        cmocka_unit_test_teardown(twin_of_every_epilogue, restore_shape),
        cmocka_unit_test_teardown(twin_of_long_rows, restore_shape),
        cmocka_unit_test(matrix_units_of_every_type),
        cmocka_unit_test(matrix_units_of_every_epilogue),
        cmocka_unit_test(matrix_units_of_long_rows),
        cmocka_unit_test(check_validation_silent),
    };
    PRINT_LOG();
    if (!open_vulkan()) return 77;
    return cmocka_run_group_tests(tests, NULL, ops_teardown);
}
