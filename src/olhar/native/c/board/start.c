/* What an emulated Cortex-M does before main. */
#include <stdint.h>

extern uint32_t stack_top, bss_start, bss_end;
extern int main(void);
extern void initialise_monitor_handles(void);
extern void exit(int) __attribute__((noreturn));
void start(void);
void fault(void);

/* The processor reads two numbers at address 0: where the stack begins, and where the program. */
__attribute__((section(".vectors"), used)) void (*const vectors[16])(void) = {
    (void (*)(void))&stack_top, start, fault, fault, fault, fault, fault, 0, 0, 0, 0, fault, fault, 0, fault, fault};

void start(void)
{
    uint32_t *at;
#ifdef __ARM_FP
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20; /* numbers with a point */
#endif
    for (at = &bss_start; at < &bss_end; at++)
        *at = 0;
    initialise_monitor_handles();
    exit(main());
}

void fault(void)
{
    exit(99);
}
