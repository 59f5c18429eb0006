/* Where a program starts, for an older wasi-libc. That leaves it to the linker to call constructors and destructors,
   which then does so around every export: also around the delivery of a signal, in whose midst constructors would run
   again. The linker leaves exports alone where a program calls its constructors itself, as this does, and as a newer
   wasi-libc does. */
#include <stdlib.h>

void __wasm_call_ctors(void), __wasm_call_dtors(void);
int __original_main(void);

/* signal.c asks for it, so that no program is linked without. */
const char libvkernel_wants_option_B;

void _start(void)
{
	__wasm_call_ctors();
	int code = __original_main();
	/* That calls the destructors. */
	if (code) exit(code);
	__wasm_call_dtors();
}
