/* Looks up one name with getaddrinfo, without flags, and prints a line of JSON:

       {"microseconds":812,"error":null,"addresses":["203.0.113.7"]}

   Both libcs' getent set AI_ADDRCONFIG, so a pod without an IPv6 address asks for A alone. Most programs do not set that flag.

   muslin starts this program by the loader of a C library: LOADER ask_libc NAME. One file serves musl and glibc, from 2.17. glibc
   binds symbols by version, hence the oldest version of each. musl ignores versions, and takes libc.so.6 for itself. No start file of
   the compiler is linked, because those of glibc 2.34 demand glibc 2.34. scripts/lookup-program builds this file. */
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <time.h>
#include <unistd.h>

/* A loader starts a program with the arguments on the stack. Calls need a stack that is aligned to 16 bytes. */
#if defined(__x86_64__)
#define OLDEST "GLIBC_2.2.5"
__asm__(".globl _start\n_start: xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call start\n hlt\n");
#elif defined(__aarch64__)
#define OLDEST "GLIBC_2.17"
__asm__(".globl _start\n_start: mov x29, #0\n mov x30, #0\n mov x0, sp\n and sp, x0, #-16\n bl start\n brk #0\n");
#else
#error "this architecture needs its entry and its oldest glibc here"
#endif
__asm__(".symver __libc_start_main, __libc_start_main@" OLDEST);
__asm__(".symver getaddrinfo, getaddrinfo@" OLDEST);
__asm__(".symver inet_ntop, inet_ntop@" OLDEST);
__asm__(".symver write, write@" OLDEST);
__asm__(".symver clock_gettime, clock_gettime@GLIBC_2.17");

/* The signature before glibc 2.34. The later one and musl ignore what follows the arguments, or accept null. */
int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*loader_fini)(void), void *stack_end);

/* Room for 300 addresses; musl returns at most 48. */
static char output[16384];
static unsigned length;

static void print(const char *text) {
    while (*text && length < sizeof output)
        output[length++] = *text++;
}

static void print_number(unsigned long number) {
    char digits[24], *first = digits + sizeof digits - 1;
    *first = 0;
    do
        *--first = '0' + number % 10;
    while (number /= 10);
    print(first);
}

static unsigned long microseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000UL + now.tv_nsec / 1000;
}

/* Both libraries have the same numbers; EAI_NODATA, -5, is hidden in some of their headers. */
static void print_error(int error) {
    const char *name = error == EAI_NONAME   ? "EAI_NONAME"
                       : error == EAI_AGAIN  ? "EAI_AGAIN"
                       : error == EAI_FAIL   ? "EAI_FAIL"
                       : error == -5         ? "EAI_NODATA"
                       : error == EAI_FAMILY ? "EAI_FAMILY"
                       : error == EAI_MEMORY ? "EAI_MEMORY"
                       : error == EAI_SYSTEM ? "EAI_SYSTEM"
                                             : 0;
    print(name ? name : "error -");
    if (!name)
        print_number((unsigned long)-error);
}

static int look_up(int argc, char **argv, char **environment) {
    (void)environment;
    if (argc != 2)
        return 2;
    struct addrinfo *found = 0, hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    unsigned long began = microseconds();
    int error = getaddrinfo(argv[1], 0, &hints, &found);
    print("{\"microseconds\":");
    print_number(microseconds() - began);
    print(",\"error\":");
    if (error) {
        print("\"");
        print_error(error);
        print("\"");
    } else
        print("null");
    print(",\"addresses\":[");
    for (struct addrinfo *each = error ? 0 : found; each && length < sizeof output - 2 * INET6_ADDRSTRLEN; each = each->ai_next) {
        char text[INET6_ADDRSTRLEN];
        const void *address = each->ai_family == AF_INET ? (const void *)&((struct sockaddr_in *)each->ai_addr)->sin_addr
                                                         : (const void *)&((struct sockaddr_in6 *)each->ai_addr)->sin6_addr;
        if (each->ai_family != AF_INET && each->ai_family != AF_INET6)
            continue;
        if (!inet_ntop(each->ai_family, address, text, sizeof text))
            continue;
        print(output[length - 1] == '[' ? "\"" : ",\"");
        print(text);
        print("\"");
    }
    print("]}\n");
    return write(STDOUT_FILENO, output, length) == (ssize_t)length ? 0 : 1;
}

__attribute__((used)) void start(long *stack) {
    __libc_start_main(look_up, (int)stack[0], (char **)(stack + 1), 0, 0, 0, stack);
}
