/* Without exceptions a jump back cannot be made: setjmp marks nothing and longjmp ends the program.
   Only programs which jump to leave, or after an error, belong here. */
#pragma once
typedef int jmp_buf[1], sigjmp_buf[1];
#define setjmp(env) ((void)(env), 0)
#define sigsetjmp(env, mask) ((void)(env), (void)(mask), 0)
_Noreturn void longjmp(jmp_buf, int);
_Noreturn void siglongjmp(sigjmp_buf, int);
