/* shader_report: what AMD's compiler makes of every kernel, as a table; needs Mesa's RADV, no GPU.
 *
 *     shader_report [CHIP...]        default: navi21 gfx1100 vega10
 *
 * Columns: scalar and vector registers, spilled ones, bytes of shared memory, subgroups per SIMD
 * (occupancy), bytes of code, instructions, and RADV's own estimates of latency and inverse
 * throughput in cycles, which are good for comparing two versions of one kernel. Ends with 1 when a
 * kernel does not compile or spills, with 77 without RADV.
 *
 * SPDX-License-Identifier: MIT
 */
#include "../tests/support_radv.h"

typedef struct totals {
    const char *family;
    unsigned n, n_spilling;
} totals;

static void print_row(void *ctx, const radv_row *row) {
    totals *t = ctx;
    const unsigned long *v = row->value;
    t->n++;
    t->n_spilling += v[RADV_SPILLED_SGPRS] || v[RADV_SPILLED_VGPRS];
    printf("%-40s %-8s %5lu %5lu %7lu %7lu %6lu %6lu %6lu %6lu %8lu %8lu\n", row->name, t->family,
           v[RADV_SGPRS], v[RADV_VGPRS], v[RADV_SPILLED_SGPRS], v[RADV_SPILLED_VGPRS], v[RADV_LDS],
           v[RADV_SUBGROUPS], v[RADV_CODE], v[RADV_INSTRUCTIONS], v[RADV_LATENCY],
           v[RADV_THROUGHPUT]);
}

static int report(const char *program, const char *family) {
    totals t = {.family = family};
    printf("%-40s %-8s %5s %5s %7s %7s %6s %6s %6s %6s %8s %8s\n", "pipeline", "chip", "SGPR",
           "VGPR", "spill-S", "spill-V", "LDS", "waves", "code", "instr", "latency", "1/tput");
    int result = radv_run(program, family, print_row, &t);
    if (result == RADV_NO_DEVICE)
        printf("no Vulkan driver offers null hardware: Mesa's RADV is needed\n");
    else
        printf("%u pipelines for %s, %u spill%s\n\n", t.n, family, t.n_spilling,
               result == 0 ? "" : "; some did not compile");
    return result == 0 && (t.n_spilling > 0 || t.n == 0) ? 1 : result;
}

int main(int argc, char **argv) {
    static char *const usual[] = {"navi21", "gfx1100", "vega10"};
    if (radv_is_child(argc, argv)) return radv_child_main(argv[1]);
    int n = argc > 1 ? argc - 1 : 3, worst = 0;
    char *const *families = argc > 1 ? argv + 1 : usual;
    for (int i = 0; i < n; i++) {
        int result = report("/proc/self/exe", families[i]);
        if (result == RADV_NO_DEVICE) return result;
        if (result != 0) worst = 1;
    }
    return worst;
}
