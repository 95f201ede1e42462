// What both hosts share: the dynamic loader, replies, signal handlers.

#include "shim.h"
#include "shim_internal.h"

#include <dlfcn.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAST_SIGNAL 64  // the kernel's; glibc's SIGRTMAX is a function call

const char *const edged_function_names[EDGED_FUNCTIONS] = { "load", "process_batch", "unload", "memory" };

void edged_fail(edged_thread *thread, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(thread->error, sizeof thread->error, format, arguments);
	va_end(arguments);
}

void edged_symbol(const char *name, void *address)
{
	void *found = dlsym(RTLD_DEFAULT, name);

	// ISO C has no cast from an object pointer to a function pointer; POSIX has the same bytes.
	memcpy(address, &found, sizeof found);
}

int edged_library(const char *library, const struct symbol *symbols, size_t count, edged_thread *owner)
{
	// RTLD_GLOBAL: extension modules take Python's symbols from the process, not from libpython.
	void *handle = dlopen(library, RTLD_NOW | RTLD_GLOBAL);

	if (handle == NULL) {
		edged_fail(owner, "%s", dlerror());
		return -1;
	}
	for (size_t i = 0; i < count; i++) {
		void *found = dlsym(handle, symbols[i].name);

		if (found == NULL) {
			edged_fail(owner, "%s lacks the function %s", library, symbols[i].name);
			return -1;
		}
		memcpy(symbols[i].address, &found, sizeof found);
	}
	return 0;
}

long edged_reply(edged_thread *thread, const void *reply, size_t length, void *out, size_t room)
{
	if (length > room) {
		thread->held = malloc(length);
		if (thread->held == NULL) {
			edged_fail(thread, "no memory for a reply of %zu bytes", length);
			return EDGED_NO_MEMORY;
		}
		thread->held_length = length;
		out = thread->held;
	}
	memcpy(out, reply, length);
	return (long)length;
}

void edged_take(edged_thread *thread, void *out)
{
	memcpy(out, thread->held, thread->held_length);
	free(thread->held);
	thread->held = NULL;
}

struct edged_signals {
	struct sigaction actions[LAST_SIGNAL + 1];
	int known[LAST_SIGNAL + 1];
	stack_t stack;  // where Go's handlers run on this thread
};

edged_signals *edged_signals_save(void)
{
	edged_signals *saved = calloc(1, sizeof *saved);

	if (saved == NULL)
		return NULL;
	for (int number = 1; number <= LAST_SIGNAL; number++)
		saved->known[number] = sigaction(number, NULL, &saved->actions[number]) == 0;
	sigaltstack(NULL, &saved->stack);
	return saved;
}

static int same_action(const struct sigaction *a, const struct sigaction *b)
{
	return a->sa_sigaction == b->sa_sigaction && a->sa_flags == b->sa_flags;
}

int edged_signals_restore(edged_signals *saved)
{
	int changed = 0;
	stack_t stack;

	if (saved == NULL)
		return 0;
	for (int number = 1; number <= LAST_SIGNAL; number++) {
		struct sigaction now;

		if (!saved->known[number] || sigaction(number, NULL, &now) != 0)
			continue;
		if (!same_action(&now, &saved->actions[number])) {
			sigaction(number, &saved->actions[number], NULL);
			changed++;
		}
	}
	// Whoever brought a signal stack of its own frees it one day, with Go's next signal upon it.
	if (sigaltstack(NULL, &stack) == 0 && stack.ss_sp != saved->stack.ss_sp) {
		sigaltstack(&saved->stack, NULL);
		changed++;
	}
	free(saved);
	return changed;
}

void edged_trim(void)
{
	malloc_trim(0);
}
