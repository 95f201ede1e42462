// What the C files of this package tell one another.

#ifndef EDGED_PYTHON_SHIM_INTERNAL_H
#define EDGED_PYTHON_SHIM_INTERNAL_H

#include "shim.h"

struct symbol {
	const char *name;
	void *address;  // of the function pointer to fill
};

#define SYMBOL(name) { #name, &name }

extern const char *const edged_function_names[EDGED_FUNCTIONS];

void edged_fail(edged_thread *thread, const char *format, ...) __attribute__((format(printf, 2, 3)));
int edged_library(const char *library, const struct symbol *symbols, size_t count, edged_thread *owner);
void edged_symbol(const char *name, void *address);  // optional: NULL where it is missing
long edged_reply(edged_thread *thread, const void *reply, size_t length, void *out, size_t room);

// Notes Python's arenas from now on. Before Python is initialised: it allocates the first at once.
void edged_arenas_watch(void);

// Forgets an exception that MetaCall left behind after a conversion of its own failed: it would fail the next call.
void edged_python_clear(void);

#endif
