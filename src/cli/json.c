/* See json.h.  SPDX-License-Identifier: MIT */
#include "cli/json.h"

#include <string.h>

pd_status cli_print_json(cJSON *root, pd_error *err) {
    char *text = root ? cJSON_Print(root) : NULL;
    if (text) puts(text);
    cJSON_free(text);
    cJSON_Delete(root);
    if (!text) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the JSON text");
    return PD_OK;
}

void cli_add_numbers(cJSON *object, const cli_number *numbers, size_t n) {
    for (size_t i = 0; i < n; i++)
        cJSON_AddNumberToObject(object, numbers[i].name, numbers[i].value);
}

void cli_add_texts(cJSON *object, const cli_member *texts, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (texts[i].text) cJSON_AddStringToObject(object, texts[i].name, texts[i].text);
}

void cli_add_ids(cJSON *object, const char *name, const uint32_t *ids, size_t n) {
    cJSON *list = cJSON_AddArrayToObject(object, name);
    for (size_t i = 0; i < n; i++) cJSON_AddItemToArray(list, cJSON_CreateNumber(ids[i]));
}

cJSON *cli_add_object(cJSON *list) {
    cJSON *object = cJSON_CreateObject();
    cJSON_AddItemToArray(list, object);
    return object;
}

pd_status cli_write_json_line(pd_file_writer *w, cJSON *root, pd_error *err) {
    char *text = root ? cJSON_PrintUnformatted(root) : NULL;
    cJSON_Delete(root);
    if (!text) return PD_RAISE(err, PD_ERR_MEMORY_HOST, "not enough memory for the JSON text");
    pd_file_writer_write(w, text, strlen(text));
    pd_file_writer_write(w, "\n", 1);
    cJSON_free(text);
    return PD_OK;
}

cJSON *cli_text_json(const char *text, size_t n) {
    pd_bytes whole = {0};
    pd_bytes_write(&whole, "", 0);
    for (size_t i = 0; i < n; i++)
        pd_bytes_write(&whole, text[i] ? text + i : "\xef\xbf\xbd", text[i] ? 1 : 3);
    cJSON *j = whole.failed ? NULL : cJSON_CreateString(whole.data);
    pd_bytes_free(&whole);
    return j;
}

cJSON *cli_token_json(const pd_model *model, uint32_t id) {
    char text[2 * PD_DETOKENIZE_MAX_BYTES + 1];
    pd_detokenizer d;
    pd_detokenizer_init(&d);
    d.show_special = true;
    size_t n = pd_detokenize(model, &d, id, text);
    n += pd_detokenizer_flush(&d, text + n);
    text[n] = '\0';
    return cJSON_CreateString(text);
}
