/* How fast the processor reads, copies and multiplies with all of the backend's threads, best of
 * several repetitions; and what a loop over the threads costs that has nothing to do.
 *
 * SPDX-License-Identifier: MIT
 */
#include "backend/cpu/cpu.h"

#include "base/clock.h"
#include "base/cores.h"

enum {
    LEAST_BYTES = 64 << 20, /* of each of two buffers */
    MOST_BYTES = 512 << 20,
    PIECE_BYTES = 1 << 20,
    AHEAD_BYTES = 4096, /* the processor's own prefetcher stops at each page */
    BURN_ROUNDS = 100000,
    LOOPS = 64, /* of a repetition of the empty loop */
    REPETITIONS = 8
};

typedef struct meter {
    const pd_cpu_kernels *kernels;
    const uint8_t *from;
    uint8_t *to;
    float *sums; /* [n_threads] so that nothing is optimised away */
    const pd_cpu_integer_kernels *integer;
    const pd_cpu_matrix_kernels *matrix;
} meter;

static void copy_pieces(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    (void)thread;
    const meter *m = ctx;
    uint64_t at = (uint64_t)begin * PIECE_BYTES;
    memcpy(m->to + at, m->from + at, (uint64_t)(end - begin) * PIECE_BYTES);
}

/* As sums of words, a cache line ahead of what is asked for. */
static void read_pieces(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    const meter *m = ctx;
    typedef uint64_t words __attribute__((vector_size(64)));
    words sum = {0};
    const uint8_t *at = m->from + (uint64_t)begin * PIECE_BYTES;
    for (uint64_t i = 0; i < (uint64_t)(end - begin) * PIECE_BYTES; i += sizeof sum) {
        words w;
        __builtin_prefetch(at + i + AHEAD_BYTES);
        memcpy(&w, at + i, sizeof w);
        sum += w;
    }
    m->sums[thread] +=
        (float)(sum[0] ^ sum[1] ^ sum[2] ^ sum[3] ^ sum[4] ^ sum[5] ^ sum[6] ^ sum[7]);
}

static void burn_integers(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    const meter *m = ctx;
    for (uint32_t i = begin; i < end; i++) m->sums[thread] += (float)m->integer->burn(BURN_ROUNDS);
}

static void burn_matrix(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    const meter *m = ctx;
    pd_cpu_matrix_state before;
    m->matrix->begin(&before);
    for (uint32_t i = begin; i < end; i++) m->sums[thread] += m->matrix->burn(BURN_ROUNDS);
    m->matrix->end(&before);
}

static void burn(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    const meter *m = ctx;
    for (uint32_t i = begin; i < end; i++)
        m->sums[thread] += m->kernels->burn(BURN_ROUNDS, 0.999f, 0.001f);
}

static void do_nothing(void *ctx, uint32_t begin, uint32_t end, uint32_t thread) {
    (void)ctx, (void)begin, (void)end, (void)thread;
}

static uint64_t best_ns(pd_cpu *cpu, meter *m, uint32_t n_items, uint32_t n_loops, pd_pool_fn fn) {
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < REPETITIONS; i++) {
        uint64_t t0 = pd_clock_ns();
        for (uint32_t k = 0; k < n_loops; k++) pd_pool_run(cpu->pool, n_items, 1, fn, m);
        uint64_t ns = pd_clock_ns() - t0;
        if (ns > 0 && ns < best) best = ns;
    }
    return best;
}

/* GFLOP/s of fn, which makes BURN_ROUNDS rounds of that many operations for each item. */
static double peak_of(pd_cpu *cpu, meter *m, pd_pool_fn fn, uint32_t flops) {
    uint32_t n = 4 * cpu->n_threads;
    return (double)n * (double)BURN_ROUNDS * flops / (double)best_ns(cpu, m, n, 1, fn);
}

/* Of each buffer: both are twice the last cache. */
static uint32_t buffer_bytes(void) {
    uint64_t cache = pd_last_cache_bytes();
    if (cache < LEAST_BYTES) return LEAST_BYTES;
    return cache < MOST_BYTES ? (uint32_t)pd_round_up(cache, PIECE_BYTES) : MOST_BYTES;
}

static double integer_peak(pd_cpu *cpu, meter *m, const pd_cpu_integer_kernels *kernels) {
    m->integer = kernels;
    return peak_of(cpu, m, burn_integers, kernels->burn_flops);
}

static void measure_all(pd_cpu *cpu, meter *m, uint32_t bytes, pd_device_speed *out) {
    uint64_t ns = best_ns(cpu, m, bytes / PIECE_BYTES, 1, copy_pieces);
    out->copy_gb_s = 2.0 * (double)bytes / (double)ns;
    ns = best_ns(cpu, m, 2 * (bytes / PIECE_BYTES), 1, read_pieces);
    out->read_gb_s = 2.0 * (double)bytes / (double)ns;
    if (cpu->integer) out->gflop_s[PD_PEAK_INT16] = integer_peak(cpu, m, cpu->integer);
    if (cpu->integer_q8 != cpu->integer)
        out->gflop_s[PD_PEAK_INT8] = integer_peak(cpu, m, cpu->integer_q8);
    if (cpu->matrix)
        out->gflop_s[PD_PEAK_BF16] = peak_of(cpu, m, burn_matrix, cpu->matrix->burn_flops);
    out->gflop_s[PD_PEAK_F32] = peak_of(cpu, m, burn, cpu->kernels->burn_flops);
    ns = best_ns(cpu, m, cpu->n_threads, LOOPS, do_nothing);
    out->dispatch_us = (double)ns / 1e3 / (double)LOOPS;
}

pd_status pd_cpu_measure(pd_backend *b, pd_device_speed *out, pd_error *err) {
    pd_cpu *cpu = (pd_cpu *)b;
    *out = (pd_device_speed){0};
    uint32_t bytes = buffer_bytes();
    uint8_t *memory = pd_alloc_aligned_unset(2ull * bytes);
    float *sums = pd_alloc(cpu->n_threads, sizeof *sums);
    meter m = {.kernels = cpu->kernels,
               .from = memory,
               .to = memory ? memory + bytes : NULL,
               .sums = sums,
               .matrix = cpu->matrix};
    pd_status status = PD_OK;
    if (memory && sums) {
        pd_want_large_pages(memory, 2ull * bytes); /* as weights have them */
        memset(memory, 1, 2ull * bytes);
        measure_all(cpu, &m, bytes, out);
    } else {
        status = PD_RAISE(err, PD_ERR_MEMORY_DEVICE, "no host memory for measuring: %d MiB",
                          2 * (int)(bytes >> 20));
    }
    pd_free_aligned(memory);
    pd_free(sums);
    return status;
}
