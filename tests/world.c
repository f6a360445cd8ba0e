// For LD_PRELOAD: a drive that refuses locks with the error WORLD_LOCKS; a clock that is an hour back once there is a file WORLD_BACK.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = ((int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime"))(clock, now);
    if (clock == CLOCK_REALTIME && !access(getenv("WORLD_BACK") ?: "", F_OK)) now->tv_sec -= 3600;
    return result;
}
#define REFUSING(name) int own_##name(int, int, void *) __asm__(#name); int own_##name(int file, int command, void *given) { \
    errno = atoi(getenv("WORLD_LOCKS") ?: "0"); \
    if (errno && (command == F_SETLK || command == F_SETLKW || command == F_GETLK)) return -1; \
    return ((int (*)(int, int, void *))dlsym(RTLD_NEXT, #name))(file, command, given); \
}
REFUSING(fcntl)
REFUSING(fcntl64)
