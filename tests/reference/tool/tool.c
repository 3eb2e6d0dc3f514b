/* The program's commands:
 *
 *     chats TOKENIZER.json       a line of JSON, a chat or a text: its ids, or why it is refused
 *     generate MODEL MMPROJ|- DEVICE N   "id,id,... [IMAGE...]" a line: N tokens, greedily, exact
 *     pixels SIDE                "IMAGE OUT crops|whole" a line: the RGB bytes that a model sees
 *     weights LOGITS.f32 N_VOCAB OUT     "TEMP TOP_K TOP_P MIN_P" a line: who may be drawn
 *
 * SPDX-License-Identifier: MIT
 */
#include "tool.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int n_args;
    pd_status (*run)(int argc, char **argv, pd_error *err);
} commands[] = {
    {"chats", 1, tool_chats},
    {"generate", 4, tool_generate},
    {"pixels", 1, tool_pixels},
    {"weights", 3, tool_weights},
};

bool tool_read_line(char line[TOOL_MAX_LINE]) {
    if (!fgets(line, TOOL_MAX_LINE, stdin)) return false;
    line[strcspn(line, "\n")] = '\0';
    return true;
}

int main(int argc, char **argv) {
    pd_error err = {0};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (argc != 2 + commands[i].n_args || strcmp(argv[1], commands[i].name) != 0) continue;
        if (commands[i].run(argc - 2, argv + 2, &err) == PD_OK) return 0;
        fprintf(stderr, "%s: %s\n", pd_status_name(err.status), err.message);
        return 1;
    }
    fprintf(stderr, "usage: see tool.c\n");
    return 2;
}
