/* shader_report: what a driver's compiler makes of every kernel, as a table. Needs no GPU: Mesa's
 * RADV compiles for any AMD chip, and under Mesa's shims (tools/drivers.sh) the compilers for
 * NVIDIA, Adreno and Apple do.
 *
 *     shader_report [--radv CHIP | --device PART] [--table NAME] [--write | --compare | --text
 * KERNEL]
 *
 *     --radv CHIP     navi21, gfx1100, vega10, ...: RADV's null hardware
 *     --device PART   the first device with PART in its name; without both the first there is
 *     --table NAME    the table's file name without ".txt"; CHIP where that is given
 *     --write         writes tests/data/shader_report/<version of Mesa>/NAME.txt
 *     --compare       compares with it; only the general rules where that version has no table
 *     --text KERNEL   what the driver shows of a kernel, down to its instructions; KERNEL is a name
 *                     from the table
 *
 * Columns: tests/support_shader_row.h. Ends with 1 when a kernel does not compile, spills, or is
 * worse than the table, with 77 where there is no such device or it does not tell.
 *
 * SPDX-License-Identifier: MIT
 */

#include "../tests/support_data.h"
#include "../tests/support_shader_rules.h"
#include "../tests/support_shader_table.h"

#include "base/os_file.h"
#include "base/file.h"

enum { NO_DEVICE = 77, USAGE = 2 };

typedef struct options {
    const char *radv, *device, *table, *kernel;
    bool write, compare;
} options;

typedef struct report {
    const options *options;
    shader_table now, was;
    shader_spills spills;
    unsigned n_bad;
    bool shown;
} report;

/* ---- rows ---------------------------------------------------------------------------------- */

static void print_value(long value) {
    if (value == SHADER_UNKNOWN)
        printf(" %12s", "-");
    else
        printf(" %12ld", value);
}

static void print_row(const shader_row *row) {
    printf("%-40s", row->name);
    for (int f = 0; f < SHADER_FIELDS; f++) print_value(row->value[f]);
    putchar('\n');
}

static void print_head(void) {
    printf("%-40s", "kernel");
    for (int f = 0; f < SHADER_FIELDS; f++) printf(" %12s", shader_field_names[f]);
    putchar('\n');
}

static void check_row(report *r, const shader_row *row) {
    bool allowed = r->options->table && shader_spills_allow(&r->spills, r->options->table, row);
    if (!allowed && (row->value[SHADER_SPILLS] > 0 || row->value[SHADER_SCRATCH] > 0)) {
        printf("%s: %ld spills, %ld bytes of scratch memory\n", row->name,
               row->value[SHADER_SPILLS], row->value[SHADER_SCRATCH]);
        r->n_bad++;
    }
    if (r->was.n > 0) r->n_bad += shader_table_compare(&r->was, row, stdout);
}

static void take_row(void *ctx, pd_vk_device *d, const pd_vk_pipeline *pipeline) {
    report *r = ctx;
    pd_error err;
    shader_row *row = &r->now.rows[r->now.n];
    if (shader_row_read(d, pipeline, row, &err) != PD_OK) {
        printf("%s: %s\n", pipeline->name, err.message);
        r->n_bad++;
        return;
    }
    r->now.n++;
    if (!r->options->write && !r->options->compare) print_row(row);
    check_row(r, row);
}

/* ---- texts --------------------------------------------------------------------------------- */

static void print_text(void *ctx, const char *title, const char *text) {
    (void)ctx;
    printf("==== %s\n%s\n", title, text);
}

static void show_kernel(void *ctx, pd_vk_device *d, const pd_vk_pipeline *pipeline) {
    report *r = ctx;
    pd_error err;
    if (strcmp(pipeline->name, r->options->kernel) != 0) return;
    r->shown = true;
    if (pd_vk_representations_each(d, pipeline, print_text, NULL, &err) == PD_OK) return;
    printf("%s\n", err.message);
    r->n_bad++;
}

/* ---- files --------------------------------------------------------------------------------- */

static void table_path(const report *r, char *out, size_t n, bool with_file) {
    char version[32];
    shader_table_version(r->now.driver, version);
    int used = snprintf(out, n, "%s/%s", test_data("shader_report"), version);
    if (with_file) snprintf(out + used, n - (size_t)used, "/%s.txt", r->options->table);
}

static int write_table(const report *r) {
    char path[2 * TEST_DATA_PATH];
    pd_file_writer file;
    pd_error err;
    table_path(r, path, sizeof path, false);
    (void)pd_folder_make(path, 0777); /* it may be there */
    table_path(r, path, sizeof path, true);
    pd_status status = pd_file_writer_open(path, &file, &err);
    if (status == PD_OK) {
        shader_table_write(&r->now, file.stream);
        status = pd_file_writer_commit(&file, &err);
    }
    if (status != PD_OK)
        fprintf(stderr, "%s\n", err.message);
    else
        printf("%s: %u kernels, %s\n", path, r->now.n, r->now.driver);
    return status == PD_OK && r->n_bad == 0 ? 0 : 1;
}

/* ---- main ---------------------------------------------------------------------------------- */

static const char *argument(int argc, char **argv, int *i, const char *name) {
    if (strcmp(argv[*i], name) != 0 || *i + 1 >= argc) return NULL;
    return argv[++*i];
}

static bool read_options(int argc, char **argv, options *o) {
    for (int i = 1; i < argc; i++) {
        const char *value;
        if ((value = argument(argc, argv, &i, "--radv"))) {
            o->radv = value;
            if (!o->table) o->table = value;
        } else if ((value = argument(argc, argv, &i, "--device")))
            o->device = value;
        else if ((value = argument(argc, argv, &i, "--table")))
            o->table = value;
        else if ((value = argument(argc, argv, &i, "--text")))
            o->kernel = value;
        else if (strcmp(argv[i], "--write") == 0)
            o->write = true;
        else if (strcmp(argv[i], "--compare") == 0)
            o->compare = true;
        else
            return false;
    }
    return (!o->write && !o->compare) || o->table;
}

static int finish(report *r, uint32_t n_failed) {
    const options *o = r->options;
    if (o->kernel && !r->shown) {
        fprintf(stderr, "no kernel is called %s here\n", o->kernel);
        return 1;
    }
    if (o->kernel) return r->n_bad > 0;
    if (o->write && n_failed == 0) return write_table(r);
    if (r->was.n > 0) r->n_bad += shader_table_missing(&r->was, stdout);
    printf("%u kernels, %u differences or spills, %u that do not compile: %s%s\n", r->now.n,
           r->n_bad, n_failed, r->now.driver,
           o->compare && r->was.n == 0 ? ", of which there is no table" : "");
    return r->n_bad > 0 || n_failed > 0 || r->now.n == 0;
}

static int run(report *r, pd_vk_device *d) {
    char path[2 * TEST_DATA_PATH];
    snprintf(r->now.driver, sizeof r->now.driver, "%s", d->info.driver);
    if (!shader_spills_read(test_data("shader_report/spills.txt"), &r->spills)) {
        fprintf(stderr, "tests/data/shader_report/spills.txt is damaged or cannot be read\n");
        return 1;
    }
    table_path(r, path, sizeof path, true);
    if (r->options->compare) (void)shader_table_read(path, &r->was);
    if (!r->options->kernel && !r->options->write && !r->options->compare) print_head();
    return finish(r, shader_compile_all(d, r->options->kernel ? show_kernel : take_row, r));
}

int main(int argc, char **argv) {
    static report r;
    options o = {.device = ""};
    pd_vk_device *d;
    pd_error err;
    r.options = &o;
    if (!read_options(argc, argv, &o)) {
        fprintf(stderr, "usage: shader_report [--radv CHIP | --device PART] [--table NAME] "
                        "[--write | --compare | --text KERNEL]\n");
        return USAGE;
    }
    shader_settle_environment();
    uint32_t index = o.radv ? shader_find_radv(o.radv) : shader_find_device(o.device);
    if (index == UINT32_MAX) {
        printf("no Vulkan driver has such a device\n");
        return NO_DEVICE;
    }
    if (pd_vk_device_open_capturing(index, &d, &err) != PD_OK) {
        printf("%s\n", err.message);
        return NO_DEVICE;
    }
    int result = run(&r, d);
    pd_vk_device_close(d);
    return result;
}
