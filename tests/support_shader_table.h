/* Tables of what drivers' compilers made of every kernel when it was last looked at, and the
 * comparison with what they make of them now.
 *
 *     tests/data/shader_report/mesa-22.3.6/navi21.txt        one file per compiler and chip
 *     # driver: radv Mesa 22.3.6
 *     # pipeline registers spills scratch shared waves code instructions cycles loads16
 *     matvec(128,3,16,2,1,0,0,0,1) 40 0 0 1536 24 2188 477 6148 10
 *
 * Worse is: fewer waves, more than a tenth more instructions, fewer 16-byte loads, more spills or
 * scratch. Better is not complained of. Another version of a driver is another compiler: its table
 * is another file, and without one only the rules for all tables hold (support_shader_rules.h).
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_TESTS_SUPPORT_SHADER_TABLE_H
#define PD_TESTS_SUPPORT_SHADER_TABLE_H

#include <stdlib.h>

#include "support_shader_row.h"

typedef struct shader_table {
    char driver[256];
    shader_row rows[SHADER_MAX_KERNELS];
    bool seen[SHADER_MAX_KERNELS]; /* compared with */
    unsigned n;
} shader_table;

/* "mesa-26.1.6" of "radv Mesa 26.1.6-1~bpo13+1", "other" of what is not Mesa's. */
static inline void shader_table_version(const char *driver, char out[32]) {
    unsigned version[3];
    const char *mesa = strstr(driver, "Mesa ");
    while (mesa && sscanf(mesa, "Mesa %u.%u.%u", &version[0], &version[1], &version[2]) != 3)
        mesa = strstr(mesa + 1, "Mesa ");
    if (mesa)
        snprintf(out, 32, "mesa-%u.%u.%u", version[0], version[1], version[2]);
    else
        snprintf(out, 32, "other");
}

/* ---- the file ------------------------------------------------------------------------------ */

static inline void shader_table_write(const shader_table *t, FILE *to) {
    fprintf(to,
            "# What a compiler makes of every kernel: tests/support_shader_table.h\n# driver: %s\n"
            "# pipeline",
            t->driver);
    for (int f = 0; f < SHADER_FIELDS; f++) fprintf(to, " %s", shader_field_names[f]);
    fputc('\n', to);
    for (unsigned i = 0; i < t->n; i++) {
        fputs(t->rows[i].name, to);
        for (int f = 0; f < SHADER_FIELDS; f++)
            if (t->rows[i].value[f] == SHADER_UNKNOWN)
                fputs(" -", to);
            else
                fprintf(to, " %ld", t->rows[i].value[f]);
        fputc('\n', to);
    }
}

static inline bool shader_table_read_row(shader_row *row, char *line) {
    char *rest, *word = strtok_r(line, " ", &rest), *end;
    *row = (shader_row){0};
    snprintf(row->name, sizeof row->name, "%s", word ? word : "");
    for (int f = 0; f < SHADER_FIELDS; f++) {
        word = strtok_r(NULL, " ", &rest);
        if (!word) return false;
        row->value[f] = strtol(word, &end, 10);
        if (strcmp(word, "-") == 0)
            row->value[f] = SHADER_UNKNOWN;
        else if (*end)
            return false;
    }
    return strtok_r(NULL, " ", &rest) == NULL;
}

static inline bool shader_table_read_line(shader_table *t, char *line) {
    static const char driver[] = "# driver: ";
    line[strcspn(line, "\n")] = '\0';
    if (strncmp(line, driver, sizeof driver - 1) == 0)
        snprintf(t->driver, sizeof t->driver, "%.255s", line + sizeof driver - 1);
    if (line[0] == '#') return true;
    return t->n < SHADER_MAX_KERNELS && shader_table_read_row(&t->rows[t->n++], line);
}

static inline bool shader_table_read(const char *path, shader_table *t) {
    char line[512];
    bool good = true;
    *t = (shader_table){0};
    FILE *f = fopen(path, "r");
    if (!f) return false;
    while (good && fgets(line, sizeof line, f)) good = shader_table_read_line(t, line);
    fclose(f);
    return good && t->n > 0;
}

/* ---- comparing ----------------------------------------------------------------------------- */

/* Whether `now` is a difference to speak of, and what for. */
static inline bool shader_field_is_worse(int field, long was, long now) {
    if (was == SHADER_UNKNOWN || now == SHADER_UNKNOWN) return was != now;
    switch (field) {
    case SHADER_WAVES:
    case SHADER_LOADS16: return now < was;
    case SHADER_SPILLS:
    case SHADER_SCRATCH: return now > was;
    case SHADER_INSTRUCTIONS: return 10 * now > 11 * was;
    default: return false;
    }
}

static inline int shader_table_find(const shader_table *t, const char *name) {
    for (unsigned i = 0; i < t->n; i++)
        if (!strcmp(t->rows[i].name, name)) return (int)i;
    return -1;
}

/* Writes a line for each difference; how many there are. */
static inline unsigned shader_table_compare(shader_table *t, const shader_row *now, FILE *to) {
    int at = shader_table_find(t, now->name);
    unsigned n = 0;
    if (at < 0) return (unsigned)(fprintf(to, "%s: not in the table\n", now->name) > 0);
    t->seen[at] = true;
    const shader_row *was = &t->rows[at];
    for (int f = 0; f < SHADER_FIELDS; f++)
        if (shader_field_is_worse(f, was->value[f], now->value[f]))
            n += fprintf(to, "%s: %s %ld, was %ld (registers %ld, was %ld)\n", now->name,
                         shader_field_names[f], now->value[f], was->value[f],
                         now->value[SHADER_REGISTERS], was->value[SHADER_REGISTERS]) > 0;
    return n;
}

static inline unsigned shader_table_missing(const shader_table *t, FILE *to) {
    unsigned n = 0;
    for (unsigned i = 0; i < t->n; i++)
        if (!t->seen[i])
            n += fprintf(to, "%s: in the table, but not compiled\n", t->rows[i].name) > 0;
    return n;
}

#endif
