/* `getent hosts NAME` by the C library, as in Kubernetes' tests of /etc/hosts: prints an address and the name, or ends with 2. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

int main(int count, char **arguments) {
    if (count != 3 || strcmp(arguments[1], "hosts") != 0) {
        fprintf(stderr, "usage: getent hosts NAME\n");
        return 1;
    }
    struct addrinfo wanted = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found;
    if (getaddrinfo(arguments[2], NULL, &wanted, &found) != 0)
        return 2;
    char address[INET6_ADDRSTRLEN];
    const void *bytes = found->ai_family == AF_INET ? (const void *)&((struct sockaddr_in *)found->ai_addr)->sin_addr
                                                    : (const void *)&((struct sockaddr_in6 *)found->ai_addr)->sin6_addr;
    printf("%-17s %s\n", inet_ntop(found->ai_family, bytes, address, sizeof address), arguments[2]);
    return 0;
}
