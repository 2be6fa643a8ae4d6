/* Looks a name up with getaddrinfo, as most programs do.
 *
 *     shop NAME               once a second, for ever
 *     shop once NAME          once
 *     shop times NAME NUMBER  NUMBER lookups at once, each in its own process; prints a line each: milliseconds and the result
 *     shop show FILE          prints a file, because the image has no other program */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int look_up(const char *name) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    int error = getaddrinfo(name, "80", &hints, &found);
    if (error) {
        printf("%s: %s\n", name, gai_strerror(error));
        return 1;
    }
    for (struct addrinfo *at = found; at; at = at->ai_next) {
        char address[NI_MAXHOST];
        getnameinfo(at->ai_addr, at->ai_addrlen, address, sizeof address, 0, 0, NI_NUMERICHOST);
        printf("%s: %s\n", name, address);
    }
    freeaddrinfo(found);
    return 0;
}

static double milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

static int times(const char *name, int number) {
    for (; number > 0; number--)
        if (!fork()) {
            struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
            double began = milliseconds();
            int error = getaddrinfo(name, "80", &hints, &found);
            printf("%.1f %s\n", milliseconds() - began, error ? gai_strerror(error) : "found");
            exit(0);
        }
    while (wait(0) > 0)
        ;
    return 0;
}

static int show(const char *path) {
    FILE *file = fopen(path, "r");
    int byte;
    if (!file) {
        perror(path);
        return 1;
    }
    while ((byte = getc(file)) != EOF)
        putchar(byte);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 3 && !strcmp(argv[1], "once"))
        return look_up(argv[2]);
    if (argc == 4 && !strcmp(argv[1], "times"))
        return times(argv[2], atoi(argv[3]));
    if (argc == 3 && !strcmp(argv[1], "show"))
        return show(argv[2]);
    for (;;) {
        look_up(argc > 1 ? argv[1] : "localhost");
        fflush(stdout);
        sleep(1);
    }
}
