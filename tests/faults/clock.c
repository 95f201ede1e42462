/* The wall clock of one process, for a test to set: preloaded, it leads the kernel's vDSO, where the C library and
 * Go's runtime both read the time, to a clock that adds the seconds in the file CLOCK_STEP. For x86-64. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile const int64_t *step;

/* Go calls it on a stack of its own, so it must not go through the C library. */
static long get(long clock, struct timespec *to)
{
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(SYS_clock_gettime), "D"(clock), "S"(to)
                     : "rcx", "r11", "memory");
    if (!result && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        to->tv_sec += *step;
    return result;
}

static long get_day(struct timeval *to, void *zone)
{
    struct timespec now;

    (void)zone;
    get(CLOCK_REALTIME, &now);
    to->tv_sec = now.tv_sec;
    to->tv_usec = now.tv_nsec / 1000;
    return 0;
}

static long get_seconds(long *to)
{
    struct timespec now;

    get(CLOCK_REALTIME, &now);
    if (to)
        *to = now.tv_sec;
    return now.tv_sec;
}

static void fail(const char *why)
{
    fprintf(stderr, "clock: %s\n", why);
    _exit(99);
}

/* Puts "jmp *target" over the beginning of a function of the vDSO, in this process's copy of its pages. */
static void lead(void *vdso, const char *name, const void *target)
{
    unsigned char *at = dlsym(vdso, name);

    if (!at)
        fail(name);
    memcpy(at, "\xff\x25\0\0\0\0", 6);
    memcpy(at + 6, &target, 8);
}

__attribute__((constructor)) static void start(void)
{
    int file = open(getenv("CLOCK_STEP"), O_RDONLY | O_CLOEXEC);
    void *vdso = dlopen("linux-vdso.so.1", RTLD_LAZY | RTLD_NOLOAD);

    size_t size = 0;

    step = mmap(NULL, sizeof *step, PROT_READ, MAP_SHARED, file, 0);
    if (step == MAP_FAILED || !vdso)
        fail("no file of seconds, or no vDSO");
    close(file);
    do /* its pages change all together or not at all, and nothing says how many they are */
        if ((size += 4096) > 65536)
            fail("the vDSO's pages are sealed");
    while (mprotect((void *)getauxval(AT_SYSINFO_EHDR), size, PROT_READ | PROT_WRITE | PROT_EXEC));
    lead(vdso, "__vdso_clock_gettime", get);
    lead(vdso, "__vdso_gettimeofday", get_day);
    lead(vdso, "__vdso_time", get_seconds);
}
