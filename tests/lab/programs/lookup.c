/* Looks up names as most programs do, each on its own thread, and prints the results, one JSON object a line.
   Usage: lookup STAGGER NAME...  where STAGGER is the time between the starts of two lookups, in microseconds. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t output = PTHREAD_MUTEX_INITIALIZER;

static long microseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000L + now.tv_nsec / 1000;
}

static void *look_up(void *name) {
    struct addrinfo *found = 0, hints = {.ai_socktype = SOCK_STREAM};
    long began = microseconds();
    int error = getaddrinfo(name, 0, &hints, &found);
    long took = microseconds() - began;

    pthread_mutex_lock(&output);
    printf("{\"name\":\"%s\",\"microseconds\":%ld,\"error\":", (char *)name, took);
    if (error)
        printf("\"%s\"", error == EAI_AGAIN ? "EAI_AGAIN" : error == EAI_NONAME ? "EAI_NONAME" : error == -5 ? "EAI_NODATA"
                         : error == EAI_FAIL ? "EAI_FAIL" : gai_strerror(error));
    else
        printf("null");
    printf(",\"addresses\":[");
    for (struct addrinfo *each = error ? 0 : found; each; each = each->ai_next) {
        char text[INET6_ADDRSTRLEN];
        const void *address = each->ai_family == AF_INET ? (void *)&((struct sockaddr_in *)each->ai_addr)->sin_addr
                                                         : (void *)&((struct sockaddr_in6 *)each->ai_addr)->sin6_addr;
        inet_ntop(each->ai_family, address, text, sizeof text);
        printf("%s\"%s\"", each == found ? "" : ",", text);
    }
    printf("]}\n");
    pthread_mutex_unlock(&output);
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: lookup STAGGER NAME...\n");
        return 2;
    }
    pthread_t *threads = calloc(argc, sizeof *threads);
    for (int i = 2; i < argc; i++) {
        if (pthread_create(&threads[i], 0, look_up, argv[i])) {
            perror("pthread_create");
            return 1;
        }
        usleep(atoi(argv[1]));
    }
    for (int i = 2; i < argc; i++)
        pthread_join(threads[i], 0);
    return 0;
}
