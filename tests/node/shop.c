/* Looks a name up as most programs do.
 *
 *     shop NAME         once a second, for ever
 *     shop once NAME    once
 *     shop show FILE    writes a file out, for want of another program in the image */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
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
    if (argc == 3 && !strcmp(argv[1], "show"))
        return show(argv[2]);
    for (;;) {
        look_up(argc > 1 ? argv[1] : "localhost");
        fflush(stdout);
        sleep(1);
    }
}
