/* Looks no name up. */
#include <stdio.h>

int main(void) {
    perror("nothing");
    return 0;
}
