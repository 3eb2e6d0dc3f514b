/* Times one operation on one device: kernel_bench --device D [--type Q4_0] [--n 2304] [--k 1152]
 * [--rows 1] [--geglu] [--precision exact|f16|q8] [--seconds 2]
 *
 * Builds a plan of a single matmul over random weights and prints GB/s of weights and GFLOP/s, best
 * and median of the runs. For choosing kernels, not for comparing models.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "base/clock.h"

typedef struct bench_args {
    const char *device, *type;
    uint32_t n, k, rows;
    bool geglu;
    pd_precision precision;
    double seconds;
} bench_args;

static pd_precision parse_precision(const char *text) {
    if (!strcmp(text, "exact")) return PD_PRECISION_EXACT;
    if (!strcmp(text, "f16")) return PD_PRECISION_F16;
    if (!strcmp(text, "q8")) return PD_PRECISION_Q8;
    fprintf(stderr, "kernel_bench: --precision takes exact, f16 or q8, not \"%s\"\n", text);
    exit(2);
}

static bench_args parse(int argc, char **argv) {
    bench_args a = {.device = "cpu",
                    .type = "Q4_0",
                    .n = 2304,
                    .k = 1152,
                    .rows = 1,
                    .precision = PD_PRECISION_EXACT,
                    .seconds = 2};
    for (int i = 1; i < argc; i++) {
        const char *v = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(argv[i], "--geglu"))
            a.geglu = true;
        else if (!strcmp(argv[i], "--device"))
            a.device = v, i++;
        else if (!strcmp(argv[i], "--type"))
            a.type = v, i++;
        else if (!strcmp(argv[i], "--n"))
            a.n = (uint32_t)atoi(v), i++;
        else if (!strcmp(argv[i], "--k"))
            a.k = (uint32_t)atoi(v), i++;
        else if (!strcmp(argv[i], "--rows"))
            a.rows = (uint32_t)atoi(v), i++;
        else if (!strcmp(argv[i], "--precision"))
            a.precision = parse_precision(v), i++;
        else if (!strcmp(argv[i], "--seconds"))
            a.seconds = atof(v), i++;
        else {
            fprintf(stderr, "kernel_bench: unknown argument %s\n", argv[i]);
            exit(2);
        }
    }
    return a;
}

static void must(pd_status status, const pd_error *err) {
    if (status == PD_OK) return;
    fprintf(stderr, "kernel_bench: %s\n", err->message);
    exit(pd_status_exit_code(status));
}

/* A matrix of random blocks whose scales are small numbers of both signs. */
static pd_tensor make_tensor(const bench_args *a, const char *name) {
    const pd_type_info *t = pd_type_find(a->type);
    if (!t || a->k % t->block_values) {
        fprintf(stderr, "kernel_bench: no such type, or K is not a multiple of its block\n");
        exit(2);
    }
    pd_tensor w = {.type = t->type, .n_dims = 2, .ne = {a->k, a->n, 1, 1}};
    snprintf(w.name, sizeof w.name, "%s", name);
    w.n_bytes = pd_type_row_bytes(t, a->k) * a->n;
    uint8_t *data = pd_alloc_aligned(1, w.n_bytes);
    float row[8192];
    for (uint32_t i = 0; i < 8192; i++)
        row[i] = (float)((i * 2654435761u) >> 8) / 8388608.0f - 1.0f;
    for (uint32_t r = 0; r < a->n; r++)
        for (uint32_t done = 0; done < a->k; done += 256) {
            uint32_t n = a->k - done < 256 ? a->k - done : 256;
            pd_encode(t->type, row + (r * 7 + done) % 4096, n,
                      data + r * pd_type_row_bytes(t, a->k) + pd_type_row_bytes(t, done));
        }
    w.data = data;
    return w;
}

static int compare_u64(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    bench_args a = parse(argc, argv);
    pd_error err;
    pd_backend *b;
    must(pd_backend_open(&(pd_backend_desc){.device = a.device}, &b, &err), &err);
    pd_tensor w[2] = {make_tensor(&a, "w0"), {.n_dims = 0}};
    if (a.geglu) w[1] = make_tensor(&a, "w1");
    pd_plan plan;
    pd_plan_init(&plan, &(pd_plan_desc){.name = "bench",
                                        .precision = a.precision,
                                        .max_rows = a.rows,
                                        .max_outs = 1,
                                        .max_seqs = 1,
                                        .max_positions = 64});
    pd_op_matmul m = {.x = pd_plan_add_buf(&plan, "x", PD_ROWS_TOKENS, a.k, PD_BUF_INPUT),
                      .out = pd_plan_add_buf(&plan, "y", PD_ROWS_TOKENS, a.n, PD_BUF_OUTPUT),
                      .n_weights = a.geglu ? 2 : 1,
                      .weights = {&w[0], &w[1]},
                      .epilogue = a.geglu ? PD_EPILOGUE_GEGLU : PD_EPILOGUE_NONE};
    pd_plan_add_op(&plan, -1, "matmul", &(pd_op){.kind = PD_OP_MATMUL, .matmul = m});
    must(pd_plan_finish(&plan, &err), &err);
    must(b->v->load(b, &plan, NULL, NULL, &err), &err);
    pd_program *p;
    must(b->v->compile(b, &plan, NULL, &p, &err), &err);
    float *x = pd_alloc((size_t)a.rows * a.k, sizeof *x);
    must(b->v->write(p, m.x, 0, 4ull * a.rows * a.k, x, &err), &err);
    pd_step_row *rows = pd_alloc(a.rows, sizeof *rows);
    pd_step step = {.n_rows = a.rows, .rows = rows};
    must(b->v->run(p, &step, &err), &err);

    enum { MAX_RUNS = 1000 };
    static uint64_t ns[MAX_RUNS];
    uint32_t n = 0;
    for (uint64_t start = pd_clock_ns();
         n < 3 || (n < MAX_RUNS && (double)(pd_clock_ns() - start) < a.seconds * 1e9); n++) {
        uint64_t t0 = pd_clock_ns();
        must(b->v->run(p, &step, &err), &err);
        ns[n] = pd_clock_ns() - t0;
    }
    qsort(ns, n, sizeof *ns, compare_u64);
    double bytes = (double)(w[0].n_bytes + w[1].n_bytes),
           flops = 2.0 * a.rows * a.n * a.k * (a.geglu ? 2 : 1);
    printf("%s %ux%u rows %u%s on %s: %u runs, median %.3f ms, best %.3f ms; best %.2f GB/s, %.2f "
           "GFLOP/s\n",
           a.type, a.n, a.k, a.rows, a.geglu ? " geglu" : "", b->v->info(b)->name, n,
           (double)ns[n / 2] / 1e6, (double)ns[0] / 1e6, bytes / (double)ns[0],
           flops / (double)ns[0]);
    b->v->destroy(b, p);
    b->v->close(b);
    return 0;
}
