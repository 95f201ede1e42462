// The C side of the interpreter: libpython and libmetacall, reached by dlopen only.
// Nothing of either is needed to build; the functions used exist in every Python 3.9 to 3.14.
//
// Functions that can fail return 0 or -1 and leave a text for people in thread->error.

#ifndef EDGED_PYTHON_SHIM_H
#define EDGED_PYTHON_SHIM_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

// The functions of edged.embedded.entry, in the order of edged_function_names.
enum edged_function { EDGED_LOAD, EDGED_PROCESS_BATCH, EDGED_UNLOAD, EDGED_MEMORY, EDGED_FUNCTIONS };

// What a call returns in place of a length when there is no reply.
enum edged_failure {
	EDGED_RAISED = -1,        // an exception or a NULL crossed the boundary
	EDGED_NOT_BYTES = -2,     // the function returned something other than bytes
	EDGED_WRONG_THREAD = -3,  // called from a thread other than the attached one
	EDGED_NO_MEMORY = -4,     // the reply could not be held
};

// One attached thread.
typedef struct edged_thread {
	pthread_t thread;
	void *state;  // PyThreadState; NULL where MetaCall keeps it (the thread that initialised it)
	int gil;      // PyGILState_STATE of the attach
	void *held;   // a reply longer than the caller's buffer, until edged_take
	size_t held_length;
	char error[512];
} edged_thread;

// shim.c: shared by both hosts

typedef struct edged_signals edged_signals;

// A span of addresses, the end excluded.
typedef struct edged_range {
	uint64_t start, end;
} edged_range;

// Copies the addresses of pymalloc's arenas, at most room of them; returns how many. Needs no GIL.
size_t edged_arenas(edged_range *ranges, size_t room);

// The signal actions of the process and the signal stack of this thread; restore frees, on the same thread,
// and returns how many had been changed.
edged_signals *edged_signals_save(void);
int edged_signals_restore(edged_signals *saved);
void edged_take(edged_thread *thread, void *out);
void edged_trim(void);  // gives free C heap back to the kernel

// cpython.c

int edged_python_open(const char *library, edged_thread *owner);
int edged_python_initialize(const char *program, edged_thread *owner);
// Runs source as a script of its own with the bytes `options` in its globals; holds the bytes it leaves in `result`.
int edged_python_run(const char *source, const char *name, const void *options, size_t n, edged_thread *owner);
int edged_python_functions(const char *module, edged_thread *owner);
void edged_python_release(edged_thread *owner);
int edged_python_attach(edged_thread *thread);
int edged_python_detach(edged_thread *thread);
long edged_python_call(edged_thread *thread, int function, const void *in, size_t n, void *out, size_t room);
int edged_python_finalize(edged_thread *owner);
const char *edged_python_version(void);
// Writes the Python stacks of all threads to fd, without the GIL where the interpreter allows it.
int edged_python_traceback(int fd);
// The text of sys._debugmallocstats(), to be freed by the caller, or NULL. On the owner's thread.
char *edged_python_malloc_stats(void);

// metacall.c: on an interpreter that edged_python_initialize started

int edged_metacall_open(const char *library, edged_thread *owner);
int edged_metacall_initialize(const char *bridge, edged_thread *owner);
long edged_metacall_call(edged_thread *thread, int function, const void *in, size_t n, void *out, size_t room);
int edged_metacall_finalize(edged_thread *owner);
const char *edged_metacall_version(void);

#endif
