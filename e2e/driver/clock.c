// Moves the wall clock of a process by CLOCK_OFFSET_MS milliseconds. Loaded with LD_PRELOAD. The other clocks keep their time.
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = (int)syscall(SYS_clock_gettime, clock, time);
    const char *offset = getenv("CLOCK_OFFSET_MS");
    if (result == 0 && clock == CLOCK_REALTIME && offset) {
        long long nanoseconds = time->tv_nsec + atoll(offset) * 1000000LL;
        long long seconds = nanoseconds / 1000000000LL - (nanoseconds % 1000000000LL < 0);
        time->tv_sec += seconds;
        time->tv_nsec = nanoseconds - seconds * 1000000000LL;
    }
    return result;
}
