/* A library that answers NVML's calls for boards that a test sets up: what pynvml loads in place of the driver's. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { OK = 0, INVALID = 2, NOT_SUPPORTED = 3, BOARDS = 4 };

typedef struct {
    unsigned milliwatts, average, instant; /* 0: not supported */
    unsigned long long millijoules;        /* ~0: no counter */
    unsigned long long reasons;
    unsigned mig;
    int major, minor;
} Board;

typedef struct {
    uint32_t field, scope;
    int64_t stamp, latency;
    int32_t type, status;
    union {
        double d;
        unsigned u;
        unsigned long long ull;
    } value;
} Field;

static Board boards[BOARDS];
static unsigned count, inits;

void fake_count(unsigned number) { count = number; }
void fake_board(unsigned index, const Board *board) { boards[index] = *board; }
unsigned fake_open(void) { return inits; }

int nvmlInitWithFlags(unsigned flags) { (void)flags; inits++; return OK; }
int nvmlShutdown(void) { inits--; return OK; }
const char *nvmlErrorString(int code) { return code == NOT_SUPPORTED ? "Not Supported" : "Unknown Error"; }
int nvmlSystemGetDriverVersion(char *text, unsigned size) { snprintf(text, size, "580.65.06"); return OK; }
int nvmlDeviceGetCount_v2(unsigned *number) { *number = count; return OK; }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
    if (index >= count) return INVALID;
    *handle = &boards[index];
    return OK;
}

static unsigned index_of(void *handle) { return (unsigned)((Board *)handle - boards); }
int nvmlDeviceGetName(void *handle, char *text, unsigned size) {
    snprintf(text, size, "Fake GPU %u", index_of(handle));
    return OK;
}
int nvmlDeviceGetUUID(void *handle, char *text, unsigned size) {
    snprintf(text, size, "GPU-%08x", index_of(handle));
    return OK;
}
int nvmlDeviceGetCudaComputeCapability(void *handle, int *major, int *minor) {
    *major = ((Board *)handle)->major;
    *minor = ((Board *)handle)->minor;
    return OK;
}
int nvmlDeviceGetPowerUsage(void *handle, unsigned *milliwatts) {
    *milliwatts = ((Board *)handle)->milliwatts;
    return *milliwatts ? OK : NOT_SUPPORTED;
}
int nvmlDeviceGetTotalEnergyConsumption(void *handle, unsigned long long *millijoules) {
    *millijoules = ((Board *)handle)->millijoules;
    return *millijoules == ~0ull ? NOT_SUPPORTED : OK;
}
int nvmlDeviceGetMigMode(void *handle, unsigned *current, unsigned *pending) {
    *current = *pending = ((Board *)handle)->mig;
    return OK;
}
#ifndef OLD_DRIVER
int nvmlDeviceGetCurrentClocksEventReasons(void *handle, unsigned long long *bits) {
    *bits = ((Board *)handle)->reasons;
    return OK;
}
#endif
int nvmlDeviceGetCurrentClocksThrottleReasons(void *handle, unsigned long long *bits) {
    *bits = ((Board *)handle)->reasons;
    return OK;
}
int nvmlDeviceGetFieldValues(void *handle, int number, Field *fields) {
    Board *board = handle;
    for (int i = 0; i < number; i++) {
        unsigned value = fields[i].field == 185 ? board->average : fields[i].field == 186 ? board->instant : 0;
        fields[i].type = 1; /* unsigned int */
        fields[i].status = value ? OK : NOT_SUPPORTED;
        fields[i].value.u = value;
    }
    return OK;
}
