/* Records as tables in Markdown: the devices, and tokens a second for each model.
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "base/memory.h"
#include "cli/record/record.h"

/* Nothing in it may end a cell or a line, be taken for a tag, or be what a terminal obeys. */
static void print_text(const char *text) {
    for (; *text; text++) {
        if (*text == '|' || *text == '\\') putchar('\\');
        if (*text == '<')
            printf("&lt;");
        else
            putchar((unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text);
    }
}

static void print_cell(const char *text) {
    printf("| ");
    print_text(text);
    putchar(' ');
}

/* Three digits that count. */
static void number_text(double v, char out[32]) {
    snprintf(out, 32, v >= 100 ? "%.0f" : v >= 10 ? "%.1f" : "%.2f", v);
}

static void print_number(double v, const char *unit) {
    char text[32];
    number_text(v, text);
    if (v > 0)
        printf("| %s%s ", text, unit);
    else
        printf("| ");
}

/* ---- devices -------------------------------------------------------------------------------- */

static double best_peak(const cJSON *device) {
    const cJSON *peak;
    double best = 0;
    cJSON_ArrayForEach(peak, cJSON_GetObjectItem(device, "gflop_s")) {
        if (peak->valuedouble > best) best = peak->valuedouble;
    }
    return best;
}

static void print_self_test(const cJSON *record) {
    const cJSON *test = cJSON_GetObjectItem(record, "self_test");
    if (!test)
        print_cell("not tested");
    else if (cJSON_IsTrue(cJSON_GetObjectItem(test, "holds")))
        printf("| yes, %.0f tests ", record_number(test, "tests"));
    else
        printf("| **no**, %.0f of %.0f tests failed ", record_number(test, "failed"),
               record_number(test, "tests"));
}

static void print_conditions(const cJSON *record) {
    static const char *const names[] = {"conditions.governor", "conditions.profile",
                                        "conditions.power"};
    char text[128] = "";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *word = record_text(record, names[i]);
        size_t n = strlen(text);
        if (*word) snprintf(text + n, sizeof text - n, "%s%.32s", n ? ", " : "", word);
    }
    print_cell(text);
}

static void print_device(const cJSON *record) {
    const cJSON *device = cJSON_GetObjectItem(record, "device");
    char date[11];
    print_cell(record_text(device, "name"));
    print_cell(record_text(device, "driver"));
    print_number(record_number(device, "memory_bytes") / (1 << 30), "");
    print_number(record_number(device, "read_gb_s"), "");
    print_number(record_number(device, "copy_gb_s"), "");
    print_number(best_peak(device) / 1e3, "");
    print_number(record_number(device, "dispatch_us"), "");
    print_self_test(record);
    print_conditions(record);
    snprintf(date, sizeof date, "%.10s", record_text(record, "begun"));
    print_cell(date);
    print_cell(record_text(record, "commit"));
    printf("|\n");
}

static void print_devices(const cJSON *records) {
    const cJSON *record;
    printf("## Devices\n\n"
           "| device | driver | memory, GiB | reads, GB/s | copies, GB/s | best peak, TFLOP/s | a "
           "dispatch, us | computes the right thing | conditions | date | build |\n"
           "|---|---|---:|---:|---:|---:|---:|---|---|---|---|\n");
    cJSON_ArrayForEach(record, records) print_device(record);
}

/* ---- models --------------------------------------------------------------------------------- */

static void print_test(const cJSON *test) {
    char speed[32];
    if (!test) {
        printf("| ");
        return;
    }
    bool is_prompt = record_number(test, "n_gen") == 0;
    number_text(record_number(test, "tokens_per_second"), speed);
    printf("| %s (%.0f %%) ", speed,
           record_number(test, is_prompt ? "arithmetic_percent" : "memory_percent"));
}

/* A record_group_fn. */
static void print_group(void *ctx, const record_group *g) {
    const char *names[RECORD_MAX_TESTS];
    char label[RECORD_LABEL_BYTES];
    uint32_t n = record_list_tests(g, names);
    (void)ctx;
    printf("\n## %s\n\n| device ", g->title);
    for (uint32_t i = 0; i < n; i++) print_cell(names[i]);
    printf("|\n|---");
    for (uint32_t i = 0; i < n; i++) printf("|---:");
    printf("|\n");
    for (uint32_t r = 0; r < g->n_rows; r++) {
        record_label(g, r, label);
        print_cell(label);
        for (uint32_t i = 0; i < n; i++) print_test(record_find_test(g->rows[r].model, names[i]));
        printf("|\n");
    }
}

/* ---- all of it ------------------------------------------------------------------------------ */

static void print_failures(const cJSON *records) {
    const cJSON *record, *model;
    bool any = false;
    cJSON_ArrayForEach(record, records) {
        cJSON_ArrayForEach(model, cJSON_GetObjectItem(record, "models")) {
            const char *failure = record_text(model, "failure");
            if (!*failure) continue;
            printf("%s- ", any ? "" : "\nNot measured to the end:\n\n");
            print_text(record_text(record, "device.name"));
            printf(", %s: ", record_text(model, "preset"));
            print_text(failure);
            printf("\n");
            any = true;
        }
    }
}

pd_status record_print_tables(const cJSON *records, pd_error *err) {
    print_devices(records);
    PD_TRY(record_each_group(records, print_group, NULL, err));
    printf("\nTokens a second: medians of several runs behind one that is not timed. pp: of a "
           "prompt; tg: generated one by one; d: behind so many tokens. In brackets, how much of "
           "the device's arithmetic (pp) or of what it reads (tg) that is.\n");
    print_failures(records);
    return PD_OK;
}
