/* Has no C library at all. */
void _start(void) {
    __asm__ volatile("mov $60, %rax\n xor %rdi, %rdi\n syscall");
}
