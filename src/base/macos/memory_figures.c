/* Memory figures of base/clock.h, from Mach.  SPDX-License-Identifier: MIT */
#include <mach/mach.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"

/* Pages that nobody has, and those that are given up when somebody asks. */
uint64_t pd_host_memory_free_bytes(void) {
    vm_statistics64_data_t pages;
    mach_msg_type_number_t n = HOST_VM_INFO64_COUNT;
    long page_bytes = sysconf(_SC_PAGESIZE);
    host_t host = mach_host_self();
    kern_return_t got = host_statistics64(host, HOST_VM_INFO64, (host_info64_t)&pages, &n);
    mach_port_deallocate(mach_task_self(), host);
    if (got != KERN_SUCCESS || page_bytes <= 0) return 0;
    return ((uint64_t)pages.free_count + pages.inactive_count + pages.purgeable_count) *
           (uint64_t)page_bytes;
}

uint64_t pd_process_peak_bytes(void) {
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0 || usage.ru_maxrss < 0) return 0;
    return (uint64_t)usage.ru_maxrss; /* macOS counts in bytes */
}
