/* Looks a name up, as most programs do. */
#include <netdb.h>
#include <stdio.h>

int main(int argc, char **argv) {
    struct addrinfo *found;
    int error = getaddrinfo(argc > 1 ? argv[1] : "localhost", "80", 0, &found);
    printf("%s\n", error ? gai_strerror(error) : "found");
    if (error)
        perror("lookup");
    return error != 0;
}
