/* A driver library without a GPU: what NVML says, read from a text file at every call.
 *
 * The file is named by GPU_BENCH. One thing is on a line, its fields parted by blanks, the name last:
 *
 *     driver 550.54.15 12040
 *     gpu UUID TOTAL USED UTILISATION MILLIWATTS CELSIUS ECC_ERRORS MIG_SLICES ERROR NAME...
 *     process GPU PID BYTES [SLICE]        (BYTES -1: the driver does not tell; of a card that is cut up, the first slice)
 *     hang PATH                            (every call waits for as long as that file is there)
 *
 * A process counts while it lives, so that the death of a trial frees its memory, as it does on a card. ERROR is the
 * code that every question about that card is answered with, 0 for none: 15 is "GPU is lost", fallen off the bus.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MOST 16
#define MOST_PROCESSES 64
enum { OK = 0, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7, LOST = 15, UNKNOWN = 999 };

typedef unsigned long long u64;
typedef struct { u64 total, free, used; } memory;
typedef struct { unsigned version; u64 total, reserved, free, used; } memory_v2;
typedef struct { unsigned gpu, memory; } utilisation;
typedef struct { unsigned pid; u64 bytes; unsigned instance, compute; } process;
typedef struct {
    char uuid[80], name[96];
    u64 total, used;
    unsigned util, power, celsius;
    u64 ecc;
    unsigned slices;
    int error, n_processes;
    process processes[MOST_PROCESSES];
} card;
typedef struct { char driver[32]; int cuda, n; card cards[MOST]; } bench;

/* A handle is 1 + index of a card, or 1000 * (1 + index) + 1 + slice of it. */
static int index_of(void *handle) { long h = (long)handle; return (int)(h >= 1000 ? h / 1000 : h) - 1; }
static int slice_of(void *handle) { long h = (long)handle; return h >= 1000 ? (int)(h % 1000) - 1 : -1; }

static int read_bench(bench *found) {
    memset(found, 0, sizeof *found);
    strcpy(found->driver, "550.54.15");
    found->cuda = 12040;
    const char *path = getenv("GPU_BENCH");
    FILE *file = path ? fopen(path, "r") : NULL;
    if (!file) return UNKNOWN;
    char line[512], word[256];
    while (fgets(line, sizeof line, file)) {
        card *one = &found->cards[found->n];
        int gpu, pid;
        unsigned slice = 0;
        long long bytes;
        if (sscanf(line, "driver %31s %d", found->driver, &found->cuda) == 2) continue;
        if (sscanf(line, "hang %255s", word) == 1) {
            while (access(word, F_OK) == 0) usleep(20000);
        } else if (found->n < MOST &&
                   sscanf(line, "gpu %79s %llu %llu %u %u %u %llu %u %d %95[^\n]", one->uuid, &one->total, &one->used,
                          &one->util, &one->power, &one->celsius, &one->ecc, &one->slices, &one->error,
                          one->name) == 10) {
            found->n++;
        } else if (sscanf(line, "process %d %d %lld %u", &gpu, &pid, &bytes, &slice) >= 3 && gpu < found->n) {
            card *of = &found->cards[gpu];
            if (kill(pid, 0) != 0 || of->n_processes == MOST_PROCESSES) continue;
            of->processes[of->n_processes++] = (process){pid, bytes < 0 ? ~0ull : (u64)bytes, of->slices ? slice : ~0u, ~0u};
            if (bytes > 0) of->used += bytes;
        }
    }
    fclose(file);
    return OK;
}

static int read_card(void *handle, bench *found, card **one) {
    int code = read_bench(found), index = index_of(handle);
    if (code != OK) return code;
    if (index < 0 || index >= found->n) return INVALID;
    *one = &found->cards[index];
    return (*one)->error;
}
static u64 held_on(card *one, int slice) {
    u64 held = 0;
    for (int i = 0; i < one->n_processes; i++)
        if (one->processes[i].instance == (unsigned)slice && one->processes[i].bytes != ~0ull)
            held += one->processes[i].bytes;
    return held;
}
#define CARD bench found; card *one; int code = read_card(handle, &found, &one); if (code != OK) return code

int nvmlInit_v2(void) { bench found; return read_bench(&found); }
int nvmlInitWithFlags(unsigned flags) { return nvmlInit_v2(); }
int nvmlShutdown(void) { return OK; }
const char *nvmlErrorString(int code) {
    switch (code) {
        case OK: return "Success";
        case INVALID: return "Invalid Argument";
        case NOT_SUPPORTED: return "Not Supported";
        case NOT_FOUND: return "Not Found";
        case LOST: return "GPU is lost";
        default: return "Unknown Error";
    }
}
int nvmlSystemGetDriverVersion(char *text, unsigned size) {
    bench found; read_bench(&found); snprintf(text, size, "%s", found.driver); return OK;
}
int nvmlSystemGetCudaDriverVersion(int *version) { bench found; read_bench(&found); *version = found.cuda; return OK; }
int nvmlSystemGetCudaDriverVersion_v2(int *version) { return nvmlSystemGetCudaDriverVersion(version); }
int nvmlDeviceGetCount_v2(unsigned *count) {
    bench found; int code = read_bench(&found); *count = found.n; return code;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
    bench found; int code = read_bench(&found);
    if (code == OK && index >= (unsigned)found.n) return INVALID;
    *handle = (void *)(long)(index + 1);
    return code;
}
int nvmlDeviceGetIndex(void *handle, unsigned *index) { *index = index_of(handle); return OK; }
int nvmlDeviceGetName(void *handle, char *text, unsigned size) {
    CARD;
    if (slice_of(handle) < 0) snprintf(text, size, "%s", one->name);
    else snprintf(text, size, "%s MIG", one->name);
    return OK;
}
int nvmlDeviceGetUUID(void *handle, char *text, unsigned size) {
    CARD;
    if (slice_of(handle) < 0) snprintf(text, size, "%s", one->uuid);
    else snprintf(text, size, "MIG-%s-%d", one->uuid, slice_of(handle));
    return OK;
}
int nvmlDeviceGetMemoryInfo(void *handle, memory *told) {
    CARD;
    int slice = slice_of(handle);
    told->total = slice < 0 ? one->total : one->total / one->slices;
    told->used = slice < 0 ? one->used : held_on(one, slice);
    told->free = told->total - (told->used < told->total ? told->used : told->total);
    return OK;
}
int nvmlDeviceGetMemoryInfo_v2(void *handle, memory_v2 *told) {
    memory plain; int code = nvmlDeviceGetMemoryInfo(handle, &plain);
    told->total = plain.total; told->reserved = 0; told->free = plain.free; told->used = plain.used;
    return code;
}
int nvmlDeviceGetUtilizationRates(void *handle, utilisation *told) {
    CARD;
    if (slice_of(handle) >= 0 || one->slices) return NOT_SUPPORTED; /* as on a card that is cut up */
    told->gpu = one->util; told->memory = 0;
    return OK;
}
int nvmlDeviceGetPowerUsage(void *handle, unsigned *milliwatts) { CARD; *milliwatts = one->power; return OK; }
int nvmlDeviceGetPowerManagementLimit(void *handle, unsigned *milliwatts) { CARD; *milliwatts = 700000; return OK; }
int nvmlDeviceGetTotalEnergyConsumption(void *handle, u64 *millijoules) {
    CARD;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    *millijoules = (u64)((now.tv_sec + now.tv_nsec / 1e9) * one->power);
    return OK;
}
int nvmlDeviceGetTemperature(void *handle, int sensor, unsigned *celsius) { CARD; *celsius = one->celsius; return OK; }
int nvmlDeviceGetCudaComputeCapability(void *handle, int *major, int *minor) { *major = 9; *minor = 0; return OK; }
int nvmlDeviceGetEccMode(void *handle, unsigned *now, unsigned *pending) { CARD; *now = *pending = 1; return OK; }
int nvmlDeviceGetTotalEccErrors(void *handle, int kind, int counter, u64 *count) {
    CARD; *count = kind == 1 ? one->ecc : 0; return OK;
}
int nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned *count, process *told) {
    CARD;
    unsigned room = *count;
    *count = 0;
    for (int i = 0; i < one->n_processes; i++) {
        if (slice_of(handle) >= 0 && one->processes[i].instance != (unsigned)slice_of(handle)) continue;
        if (*count < room) told[*count] = one->processes[i];
        ++*count;
    }
    return *count > room ? TOO_SMALL : OK;
}
int nvmlDeviceGetComputeRunningProcesses_v2(void *handle, unsigned *count, process *told) {
    return nvmlDeviceGetComputeRunningProcesses_v3(handle, count, told);
}
int nvmlDeviceGetGraphicsRunningProcesses_v3(void *handle, unsigned *count, process *told) { *count = 0; return OK; }
int nvmlDeviceGetMigMode(void *handle, unsigned *now, unsigned *pending) {
    CARD; *now = *pending = one->slices > 0; return OK;
}
int nvmlDeviceGetMaxMigDeviceCount(void *handle, unsigned *count) { CARD; *count = one->slices; return OK; }
int nvmlDeviceGetMigDeviceHandleByIndex(void *handle, unsigned slice, void **found_handle) {
    CARD;
    if (slice >= one->slices) return NOT_FOUND;
    *found_handle = (void *)(long)(1000 * (index_of(handle) + 1) + slice + 1);
    return OK;
}
int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(void *handle, void **whole) {
    *whole = (void *)(long)(index_of(handle) + 1); return OK;
}
