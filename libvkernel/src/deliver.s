# What the kernel calls for a signal that is caught, between any two instructions. A function that calls none has up to
# 128 bytes of its variables below the stack pointer, which it has not lowered: the handler's stack begins below those.
# longjmp out of the handler sets the pointer to that of the function it returns to.

	.globaltype	__stack_pointer, i32
	.functype	vk_handle (i32) -> ()

	.section	.text.__vkernel_signal,"",@
	.globl	__vkernel_signal
	.type	__vkernel_signal,@function
	.export_name	__vkernel_signal, __vkernel_signal
__vkernel_signal:
	.functype	__vkernel_signal (i32) -> ()
	.local	i32
	global.get	__stack_pointer
	local.tee	1
	i32.const	128
	i32.sub
	global.set	__stack_pointer
	local.get	0
	call	vk_handle
	local.get	1
	global.set	__stack_pointer
	end_function
