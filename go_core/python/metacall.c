// The MetaCall host: the same interpreter, called through libmetacall.

#include "shim.h"
#include "shim_internal.h"

#include <stdlib.h>
#include <string.h>

// Numbers of metacall_value_id, the same since 0.5.
enum { METACALL_BUFFER = 8, METACALL_EXCEPTION = 17, METACALL_THROWABLE = 18 };

struct metacall_exception {
	char *message;
	char *label;
	int64_t code;
	char *stacktrace;
};

static int (*metacall_log_null)(void);
static int (*metacall_initialize)(void);
static int (*metacall_load_from_memory)(const char *, const char *, size_t, void **);
static void *(*metacall_handle_function)(void *, const char *);
static void *(*metacallfv_s)(void *, void *[], size_t);
static void *(*metacall_value_create_buffer)(const void *, size_t);
static int (*metacall_value_id)(void *);
static size_t (*metacall_value_size)(void *);
static void *(*metacall_value_to_buffer)(void *);
static void (*metacall_value_destroy)(void *);
static int (*metacall_error_from_value)(void *, struct metacall_exception *);
static void (*metacall_destroy)(void);

static const struct symbol symbols[] = {
	SYMBOL(metacall_log_null), SYMBOL(metacall_initialize), SYMBOL(metacall_load_from_memory),
	SYMBOL(metacall_handle_function), SYMBOL(metacallfv_s), SYMBOL(metacall_value_create_buffer),
	SYMBOL(metacall_value_id), SYMBOL(metacall_value_size), SYMBOL(metacall_value_to_buffer),
	SYMBOL(metacall_value_destroy), SYMBOL(metacall_error_from_value), SYMBOL(metacall_destroy),
};

static const char *(*metacall_version_str)(void);  // young: absent from some versions

static void *functions[EDGED_FUNCTIONS];

int edged_metacall_open(const char *library, edged_thread *owner)
{
	if (edged_library(library, symbols, sizeof symbols / sizeof symbols[0], owner) != 0)
		return -1;
	edged_symbol("metacall_version_str", &metacall_version_str);
	return 0;
}

const char *edged_metacall_version(void)
{
	return metacall_version_str != NULL ? metacall_version_str() : "";
}

// The GIL is held when this begins and free when it ends well: MetaCall's loader gives it up.
int edged_metacall_initialize(const char *bridge, edged_thread *owner)
{
	void *handle = NULL;

	metacall_log_null();  // else MetaCall writes to stdout
	if (metacall_initialize() != 0) {
		edged_fail(owner, "metacall_initialize failed");
		return -1;
	}
	if (metacall_load_from_memory("py", bridge, strlen(bridge) + 1, &handle) != 0) {
		edged_fail(owner, "MetaCall could not load its Python loader");
		return -1;
	}
	for (int i = 0; i < EDGED_FUNCTIONS; i++) {
		functions[i] = metacall_handle_function(handle, edged_function_names[i]);
		if (functions[i] == NULL) {
			edged_fail(owner, "MetaCall does not find the function %s", edged_function_names[i]);
			return -1;
		}
	}
	return 0;
}

static long describe_value(edged_thread *thread, void *value)
{
	struct metacall_exception exception = { 0 };
	int id = metacall_value_id(value);

	if (id != METACALL_EXCEPTION && id != METACALL_THROWABLE) {
		edged_fail(thread, "MetaCall returned a value of type %d, not a buffer", id);
		return EDGED_NOT_BYTES;
	}
	if (metacall_error_from_value(value, &exception) == 0 && exception.message != NULL)
		edged_fail(thread, "%s: %s", exception.label != NULL ? exception.label : "exception", exception.message);
	else
		edged_fail(thread, "an exception without a text");
	return EDGED_RAISED;
}

long edged_metacall_call(edged_thread *thread, int function, const void *in, size_t n, void *out, size_t room)
{
	if (!pthread_equal(thread->thread, pthread_self()))
		return EDGED_WRONG_THREAD;

	void *record = metacall_value_create_buffer(in, n);
	void *arguments[] = { record };
	void *reply = record != NULL ? metacallfv_s(functions[function], arguments, 1) : NULL;
	long length;

	if (record != NULL)
		metacall_value_destroy(record);
	if (reply == NULL) {
		edged_fail(thread, "MetaCall returned NULL");
		edged_python_clear();
		return EDGED_RAISED;
	}
	if (metacall_value_id(reply) == METACALL_BUFFER)
		length = edged_reply(thread, metacall_value_to_buffer(reply), metacall_value_size(reply), out, room);
	else
		length = describe_value(thread, reply);
	if (length == EDGED_RAISED || length == EDGED_NOT_BYTES)
		edged_python_clear();
	metacall_value_destroy(reply);
	return length;
}

int edged_metacall_finalize(edged_thread *owner)
{
	(void)owner;
	metacall_destroy();
	return 0;
}
