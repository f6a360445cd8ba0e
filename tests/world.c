// A world with faults, for LD_PRELOAD: locks that a drive refuses with the error WORLD_LOCKS; a clock that is an hour back once there is a
// file WORLD_BACK.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    const char *back = getenv("WORLD_BACK");
    if (clock == CLOCK_REALTIME && back && !access(back, F_OK)) now->tv_sec -= 3600;
    return result;
}

#define REFUSING(name)                                                                   \
    int name(int file, int command, ...) {                                               \
        va_list more;                                                                    \
        va_start(more, command);                                                         \
        void *given = va_arg(more, void *);                                              \
        va_end(more);                                                                    \
        errno = getenv("WORLD_LOCKS") ? atoi(getenv("WORLD_LOCKS")) : 0;                 \
        if (errno && (command == F_SETLK || command == F_SETLKW || command == F_GETLK)) return -1; \
        int (*real)(int, int, ...) = dlsym(RTLD_NEXT, #name);                            \
        return real(file, command, given);                                               \
    }
REFUSING(fcntl)
REFUSING(fcntl64)
