/* The table of what AMD's compiler made of every kernel when it was last looked at, and the
 * comparison with what it makes of them now.
 *
 *     # driver: radv Mesa 22.3.6
 *     # pipeline chip SGPRs VGPRs LDS waves code instructions loads16
 *     matvec(128,3,16,2,1,0) navi21 128 40 1024 24 2124 466 10
 *
 * Worse is: fewer waves, more than a tenth more instructions, fewer 16-byte loads. Better is not
 * complained of.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_TESTS_SUPPORT_SHADER_TABLE_H
#define PD_TESTS_SUPPORT_SHADER_TABLE_H

#include "support_radv.h"

#define SHADER_TABLE_AGAIN                                                                         \
    "if that is meant to be: build/dev/shader_report --write, and commit "                         \
    "tests/data/shader_report.txt"

static char *const shader_table_chips[] = {"navi21", "gfx1100", "vega10"};
enum { SHADER_TABLE_CHIPS = 3, SHADER_TABLE_ROWS = SHADER_TABLE_CHIPS * RADV_MAX_KERNELS };

typedef struct shader_table_row {
    char name[64], chip[16];
    unsigned long sgprs, vgprs, lds, waves, code, instructions, loads16;
    bool seen; /* compared with */
} shader_table_row;

typedef struct shader_table {
    char driver[256];
    shader_table_row rows[SHADER_TABLE_ROWS];
    unsigned n;
} shader_table;

static inline shader_table_row shader_table_make(const radv_row *r, const char *chip) {
    shader_table_row row = {.sgprs = r->value[RADV_SGPRS],
                            .vgprs = r->value[RADV_VGPRS],
                            .lds = r->value[RADV_LDS],
                            .waves = r->value[RADV_SUBGROUPS],
                            .code = r->value[RADV_CODE],
                            .instructions = r->value[RADV_INSTRUCTIONS],
                            .loads16 = r->n_loads16};
    snprintf(row.name, sizeof row.name, "%s", r->name);
    snprintf(row.chip, sizeof row.chip, "%s", chip);
    return row;
}

/* ---- the file ------------------------------------------------------------------------------ */

static inline void shader_table_write(const shader_table *t, FILE *to) {
    fprintf(
        to,
        "# What AMD's compiler makes of every kernel; tests/unit/test_radv_null.c compares with "
        "this.\n"
        "# Made by: build/dev/shader_report --write\n"
        "# driver: %s\n"
        "# pipeline chip SGPRs VGPRs LDS waves code instructions loads16\n",
        t->driver);
    for (unsigned i = 0; i < t->n; i++) {
        const shader_table_row *r = &t->rows[i];
        fprintf(to, "%s %s %lu %lu %lu %lu %lu %lu %lu\n", r->name, r->chip, r->sgprs, r->vgprs,
                r->lds, r->waves, r->code, r->instructions, r->loads16);
    }
}

static inline bool shader_table_read_line(shader_table *t, char *line) {
    static const char driver[] = "# driver: ";
    line[strcspn(line, "\n")] = '\0';
    if (strncmp(line, driver, sizeof driver - 1) == 0)
        snprintf(t->driver, sizeof t->driver, "%s", line + sizeof driver - 1);
    if (line[0] == '#') return true;
    if (t->n == SHADER_TABLE_ROWS) return false;
    shader_table_row *r = &t->rows[t->n++];
    *r = (shader_table_row){0};
    return sscanf(line, "%63s %15s %lu %lu %lu %lu %lu %lu %lu", r->name, r->chip, &r->sgprs,
                  &r->vgprs, &r->lds, &r->waves, &r->code, &r->instructions, &r->loads16) == 9;
}

static inline bool shader_table_read(const char *path, shader_table *t) {
    char line[256];
    bool good = true;
    *t = (shader_table){0};
    FILE *f = fopen(path, "r");
    if (!f) return false;
    while (good && fgets(line, sizeof line, f)) good = shader_table_read_line(t, line);
    fclose(f);
    return good && t->n > 0;
}

/* ---- comparing ----------------------------------------------------------------------------- */

static inline shader_table_row *shader_table_find(shader_table *t, const char *name,
                                                  const char *chip) {
    for (unsigned i = 0; i < t->n; i++)
        if (!strcmp(t->rows[i].name, name) && !strcmp(t->rows[i].chip, chip)) return &t->rows[i];
    return NULL;
}

/* Writes a line for each difference; how many there are. */
static inline unsigned shader_table_compare(shader_table *t, const shader_table_row *now,
                                            FILE *to) {
    shader_table_row *was = shader_table_find(t, now->name, now->chip);
    unsigned n = 0;
    if (!was) return (unsigned)(fprintf(to, "%s %s: not in the table\n", now->name, now->chip) > 0);
    was->seen = true;
    if (now->waves < was->waves)
        n += fprintf(to,
                     "%s %s: %lu waves a SIMD, were %lu (%lu vector registers, were %lu; %lu bytes "
                     "shared, were %lu)\n",
                     now->name, now->chip, now->waves, was->waves, now->vgprs, was->vgprs, now->lds,
                     was->lds) > 0;
    if (10 * now->instructions > 11 * was->instructions)
        n += fprintf(to, "%s %s: %lu instructions, were %lu\n", now->name, now->chip,
                     now->instructions, was->instructions) > 0;
    if (now->loads16 < was->loads16)
        n += fprintf(to, "%s %s: %lu loads of 16 bytes, were %lu\n", now->name, now->chip,
                     now->loads16, was->loads16) > 0;
    return n;
}

static inline unsigned shader_table_missing(const shader_table *t, const char *chip, FILE *to) {
    unsigned n = 0;
    for (unsigned i = 0; i < t->n; i++)
        if (!strcmp(t->rows[i].chip, chip) && !t->rows[i].seen)
            n += fprintf(to, "%s %s: in the table, but not compiled\n", t->rows[i].name, chip) > 0;
    return n;
}

#endif
