/* shader_report: what AMD's compiler makes of every kernel, as a table; needs Mesa's RADV, no GPU.
 *
 *     shader_report [CHIP...]        default: navi21 gfx1100 vega10
 *     shader_report --write [FILE]   the table that tests/unit/test_radv_null.c compares with;
 *                                    default: tests/data/shader_report.txt
 *
 * Columns: scalar and vector registers, spilled ones, bytes of shared memory, subgroups per SIMD
 * (occupancy), bytes of code, instructions, loads of 16 bytes, and RADV's own estimates of latency
 * and inverse throughput in cycles, which are good for comparing two versions of one kernel. Ends
 * with 1 when a kernel does not compile or spills, with 77 without RADV.
 *
 * SPDX-License-Identifier: MIT
 */
#include "../tests/support_shader_table.h"

#include "base/file.h"

/* ---- printing ------------------------------------------------------------------------------ */

typedef struct totals {
    const char *family;
    unsigned n, n_spilling;
} totals;

static void print_row(void *ctx, const radv_row *row) {
    totals *t = ctx;
    const unsigned long *v = row->value;
    t->n++;
    t->n_spilling += v[RADV_SPILLED_SGPRS] || v[RADV_SPILLED_VGPRS];
    printf("%-40s %-8s %5lu %5lu %7lu %7lu %6lu %6lu %6lu %6lu %7lu %8lu %8lu\n", row->name,
           t->family, v[RADV_SGPRS], v[RADV_VGPRS], v[RADV_SPILLED_SGPRS], v[RADV_SPILLED_VGPRS],
           v[RADV_LDS], v[RADV_SUBGROUPS], v[RADV_CODE], v[RADV_INSTRUCTIONS], row->n_loads16,
           v[RADV_LATENCY], v[RADV_THROUGHPUT]);
}

static int report(const char *program, const char *family) {
    totals t = {.family = family};
    printf("%-40s %-8s %5s %5s %7s %7s %6s %6s %6s %6s %7s %8s %8s\n", "pipeline", "chip", "SGPR",
           "VGPR", "spill-S", "spill-V", "LDS", "waves", "code", "instr", "loads16", "latency",
           "1/tput");
    int result = radv_run(program, family, print_row, &t);
    if (result == RADV_NO_DEVICE)
        printf("no Vulkan driver offers null hardware: Mesa's RADV is needed\n");
    else
        printf("%u pipelines for %s, %u spill%s\n\n", t.n, family, t.n_spilling,
               result == 0 ? "" : "; some did not compile");
    return result == 0 && (t.n_spilling > 0 || t.n == 0) ? 1 : result;
}

/* ---- writing ------------------------------------------------------------------------------- */

typedef struct writing {
    shader_table table;
    const char *chip;
} writing;

static void add_row(void *ctx, const radv_row *row) {
    writing *w = ctx;
    if (w->table.n == SHADER_TABLE_ROWS) return;
    snprintf(w->table.driver, sizeof w->table.driver, "%s", row->driver);
    w->table.rows[w->table.n++] = shader_table_make(row, w->chip);
}

static int write_table(const char *program, const char *path) {
    static writing w;
    pd_file_writer file;
    pd_error err;
    for (int i = 0; i < SHADER_TABLE_CHIPS; i++) {
        w.chip = shader_table_chips[i];
        int result = radv_run(program, w.chip, add_row, &w);
        if (result != 0) {
            fprintf(stderr, "not every kernel compiles for %s: nothing is written\n", w.chip);
            return result;
        }
    }
    pd_status status = pd_file_writer_open(path, &file, &err);
    if (status == PD_OK) {
        shader_table_write(&w.table, file.stream);
        status = pd_file_writer_commit(&file, &err);
    }
    if (status != PD_OK)
        fprintf(stderr, "%s\n", err.message);
    else
        printf("%s: %u rows, %s\n", path, w.table.n, w.table.driver);
    return status == PD_OK ? 0 : 1;
}

int main(int argc, char **argv) {
    if (radv_is_child(argc, argv)) return radv_child_main(argv[1]);
    if (argc > 1 && strcmp(argv[1], "--write") == 0)
        return write_table("/proc/self/exe", argc > 2 ? argv[2] : "tests/data/shader_report.txt");
    int n = argc > 1 ? argc - 1 : SHADER_TABLE_CHIPS, worst = 0;
    char *const *families = argc > 1 ? argv + 1 : shader_table_chips;
    for (int i = 0; i < n; i++) {
        int result = report("/proc/self/exe", families[i]);
        if (result == RADV_NO_DEVICE) return result;
        if (result != 0) worst = 1;
    }
    return worst;
}
