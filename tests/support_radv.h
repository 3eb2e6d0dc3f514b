/* What AMD's compiler makes of the kernels, without an AMD GPU.
 *
 * Mesa's RADV offers "null hardware" when RADV_FORCE_FAMILY names a chip: a device without memory
 * or queues that work, whose compiler is the real one. With RADV_DEBUG=shaders,shaderstats it
 * writes, for each pipeline, this to stderr (and much more):
 *
 *     After RA:
 *     ACO shader stage: compute_cs
 *     ...
 *         v4: %12:v[4-7] = buffer_load_dwordx4 ...       the same names for all chips
 *     ...
 *     disasm:
 *     ...
 *     *** SHADER STATS ***
 *     VGPRs: 48
 *     Spilled VGPRs: 0
 *     ...
 *     ********************
 *
 * The variables must be set before the instance is made, so a child process does the compiling:
 * the program runs itself again with `--radv-child`, and the parent reads its stderr, where
 * the child puts a line "@driver <name and version>" first and "@name <pipeline>" after each block.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PD_TESTS_SUPPORT_RADV_H
#define PD_TESTS_SUPPORT_RADV_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/vulkan/kernels.h"
#include "backend/vulkan/pipeline.h"

enum { RADV_MAX_KERNELS = 1024, RADV_NO_DEVICE = 77 };

typedef enum radv_field {
    RADV_SGPRS,
    RADV_VGPRS,
    RADV_SPILLED_SGPRS,
    RADV_SPILLED_VGPRS,
    RADV_LDS,
    RADV_SCRATCH,
    RADV_SUBGROUPS, /* per SIMD: the occupancy */
    RADV_CODE,
    RADV_INSTRUCTIONS,
    RADV_LATENCY,
    RADV_THROUGHPUT, /* inverse */
    RADV_FIELDS
} radv_field;

static const char *const radv_field_names[RADV_FIELDS] = {
    "SGPRs",        "VGPRs",        "Spilled SGPRs",      "Spilled VGPRs",
    "LDS size",     "Scratch size", "Subgroups per SIMD", "Code size",
    "Instructions", "Latency",      "Inverse Throughput",
};

typedef struct radv_row {
    char name[64];
    const char *driver; /* "radv Mesa 22.3.6" */
    unsigned n_fields;  /* how many were found; RADV_FIELDS when all */
    unsigned long value[RADV_FIELDS];
    bool has_code;           /* its instructions were shown */
    unsigned long n_loads16; /* of them: loads of 16 bytes from a buffer */
} radv_row;

typedef void (*radv_row_fn)(void *ctx, const radv_row *row);

/* ---- the child ----------------------------------------------------------------------------- */

static int radv_fail(const pd_error *err) {
    fprintf(stderr, "@failed %s\n", err->message);
    return 1;
}

static int radv_compile_all(pd_vk_device *d) {
    static pd_vk_pipeline_desc list[RADV_MAX_KERNELS];
    pd_vk_pipelines *p = NULL;
    pd_error err = {0};
    if (pd_vk_pipelines_create(d, &p, &err) != PD_OK) return radv_fail(&err);
    uint32_t n = pd_vk_kernel_list(d, list, RADV_MAX_KERNELS);
    int failed = 0;
    for (uint32_t i = 0; i < n && i < RADV_MAX_KERNELS; i++) {
        const pd_vk_pipeline *pipeline;
        if (pd_vk_pipeline_get(p, &list[i], &pipeline, &err) != PD_OK)
            failed |= radv_fail(&err);
        else
            fprintf(stderr, "@name %s\n", pipeline->name);
    }
    pd_vk_pipelines_destroy(p);
    return failed;
}

/* UINT32_MAX: there is none. */
static uint32_t radv_find_device(char driver[256]) {
    VkPhysicalDevice all[32];
    VkInstance instance;
    uint32_t n = 0, found = UINT32_MAX;
    if (pd_vk_instance_open(&instance, NULL) != PD_OK) return found;
    if (pd_vk_physical_list(instance, all, 32, &n, NULL) != PD_OK) n = 0;
    for (uint32_t i = 0; i < n && i < 32 && found == UINT32_MAX; i++) {
        pd_device_info info;
        pd_vk_describe(all[i], i, &info);
        if (!strstr(info.name, "Null hardware")) continue;
        found = i;
        snprintf(driver, 256, "%s", info.driver);
    }
    pd_vk_instance_close();
    return found;
}

/* For main(): if (radv_is_child(argc, argv)) return radv_child_main(argv[1]); */
static bool radv_is_child(int argc, char **argv) {
    return argc == 2 && strncmp(argv[1], "--radv-", 7) == 0;
}

static int radv_child_main(const char *what) {
    pd_vk_device *d;
    pd_error err = {0};
    char driver[256];
    uint32_t index = radv_find_device(driver);
    if (index == UINT32_MAX) return RADV_NO_DEVICE;
    fprintf(stderr, "@driver %s\n", driver);
    if (strcmp(what, "--radv-probe") == 0) return 0;
    if (pd_vk_device_open(index, &d, &err) != PD_OK) return radv_fail(&err);
    int result = radv_compile_all(d);
    pd_vk_device_close(d);
    return result;
}

/* ---- the parent ---------------------------------------------------------------------------- */

static void radv_read_field(radv_row *row, const char *line) {
    for (int f = 0; f < RADV_FIELDS; f++) {
        size_t n = strlen(radv_field_names[f]);
        if (strncmp(line, radv_field_names[f], n) != 0 || line[n] != ':') continue;
        row->value[f] = strtoul(line + n + 1, NULL, 10);
        row->n_fields++;
    }
}

static bool radv_starts(const char *line, const char *with) {
    return strncmp(line, with, strlen(with)) == 0;
}

/* A line between two pipelines' names. *in_code: of ACO's last form of the program. */
static void radv_read_line(radv_row *row, const char *line, bool *in_code) {
    if (radv_starts(line, "After RA:"))
        row->has_code = *in_code = true;
    else if (radv_starts(line, "disasm:") || radv_starts(line, "*** SHADER STATS"))
        *in_code = false;
    else if (*in_code)
        row->n_loads16 += strstr(line, "buffer_load_dwordx4") != NULL; /* s_buffer_load too */
    else
        radv_read_field(row, line);
}

static void radv_read_rows(FILE *from, radv_row_fn fn, void *ctx, char driver[256]) {
    char line[512];
    bool in_code = false;
    radv_row row = {.driver = driver};
    while (fgets(line, sizeof line, from)) {
        line[strcspn(line, "\n")] = '\0';
        if (radv_starts(line, "@failed")) printf("%s\n", line);
        if (radv_starts(line, "@driver ")) snprintf(driver, 256, "%.255s", line + 8);
        if (!radv_starts(line, "@name ")) {
            radv_read_line(&row, line, &in_code);
            continue;
        }
        snprintf(row.name, sizeof row.name, "%.63s", line + 6);
        if (fn) fn(ctx, &row);
        row = (radv_row){.driver = driver};
        in_code = false;
    }
}

static void radv_exec_child(const char *program, const char *family, const char *what,
                            int write_end) {
    setenv("RADV_FORCE_FAMILY", family, 1);
    setenv("RADV_DEBUG", "shaders,shaderstats,nocache", 1);
    setenv("PERIDOT_CACHE_DIR", "/dev/null/none", 1); /* cached pipelines report nothing */
    setenv("NODEVICE_SELECT", "1", 1); /* Mesa's selection layer asks more than the device has */
    unsetenv("PERIDOT_VALIDATION");
    dup2(write_end, STDERR_FILENO);
    execl(program, program, what, (char *)NULL);
    _exit(127);
}

/* Runs `program` (argv[0]) for one chip ("navi21", "gfx1100", "vega10"), calling fn for each
 * pipeline; without fn only looks whether RADV is there, and ctx is a char[256] for its name and
 * version. Returns the child's exit status: RADV_NO_DEVICE without RADV, 128 after a crash. */
static int radv_run(const char *program, const char *family, radv_row_fn fn, void *ctx) {
    char driver[256] = "";
    int ends[2];
    if (pipe(ends) != 0) return 1;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        radv_exec_child(program, family, fn ? "--radv-child" : "--radv-probe", ends[1]);
    }
    close(ends[1]);
    FILE *from = fdopen(ends[0], "r");
    if (from) radv_read_rows(from, fn, ctx, driver);
    if (from) fclose(from);
    if (!fn) snprintf(ctx, sizeof driver, "%s", driver);
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid) return 1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

#endif
