// The same from C++.  SPDX-License-Identifier: MIT
#include <cstdio>
#include <memory>
#include <string>

#include <peridot.h>
#include <peridot_measure.h>

int main(int argc, char **argv) {
    pd_error err = {};
    pd_model *opened = nullptr;
    pd_model_desc desc = {};
    desc.device = "cpu";
    if (argc != 2 || std::string(pd_version(nullptr)) != PD_VERSION_STRING) return 2;
    if (pd_model_open(argv[1], &desc, &opened, &err) != PD_OK) return std::puts(err.message), 1;
    std::unique_ptr<pd_model, decltype(&pd_model_close)> model(opened, pd_model_close);

    pd_session *created = nullptr;
    if (pd_session_create(opened, nullptr, &created, &err) != PD_OK) return 1;
    std::unique_ptr<pd_session, decltype(&pd_session_destroy)> session(created, pd_session_destroy);
    const uint32_t ids[] = {PD_TOKEN_BOS, 5, 6, 7};
    uint32_t next = 0;
    if (pd_session_sync(created, ids, 4, &err) != PD_OK) return std::puts(err.message), 1;
    if (pd_session_argmax(created, &next, &err) != PD_OK) return std::puts(err.message), 1;
    std::printf("peridot %s: %u\n", pd_version(nullptr), next);
    return 0;
}
