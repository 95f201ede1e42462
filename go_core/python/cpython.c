// The CPython host: one interpreter through the functions of libpython, called without its headers.

#include "shim.h"
#include "shim_internal.h"

#include <stdio.h>
#include <string.h>
#include <wchar.h>

typedef void object;        // PyObject
typedef void thread_state;  // PyThreadState
typedef void interpreter;   // PyInterpreterState

#define FILE_INPUT 257  // Py_file_input: same number in 3.9 to 3.14

static wchar_t *(*Py_DecodeLocale)(const char *, size_t *);
static void (*Py_SetProgramName)(const wchar_t *);
static void (*Py_InitializeEx)(int);
static int (*Py_IsInitialized)(void);
static int (*Py_FinalizeEx)(void);
static const char *(*Py_GetVersion)(void);
static object *(*Py_CompileString)(const char *, const char *, int);
static object *(*PyEval_EvalCode)(object *, object *, object *);
static object *(*PyEval_GetBuiltins)(void);
static thread_state *(*PyEval_SaveThread)(void);
static void (*PyEval_RestoreThread)(thread_state *);
static int (*PyGILState_Ensure)(void);
static void (*PyGILState_Release)(int);
static interpreter *(*PyInterpreterState_Get)(void);
static object *(*PyImport_ImportModule)(const char *);
static object *(*PyObject_GetAttrString)(object *, const char *);
static object *(*PyObject_CallFunctionObjArgs)(object *, ...);
static object *(*PyObject_Str)(object *);
static const char *(*PyUnicode_AsUTF8AndSize)(object *, ssize_t *);
static object *(*PyBytes_FromStringAndSize)(const char *, ssize_t);
static int (*PyBytes_AsStringAndSize)(object *, char **, ssize_t *);
static object *(*PyDict_New)(void);
static int (*PyDict_SetItemString)(object *, const char *, object *);
static object *(*PyDict_GetItemString)(object *, const char *);
static void (*PyErr_Clear)(void);
static void (*PyErr_Fetch)(object **, object **, object **);
static void (*PyErr_NormalizeException)(object **, object **, object **);
static object *(*PySys_GetObject)(const char *);
static int (*PyRun_SimpleString)(const char *);
static void (*Py_DecRef)(object *);

static const struct symbol symbols[] = {
	SYMBOL(Py_DecodeLocale), SYMBOL(Py_SetProgramName), SYMBOL(Py_InitializeEx), SYMBOL(Py_IsInitialized),
	SYMBOL(Py_FinalizeEx), SYMBOL(Py_GetVersion), SYMBOL(Py_CompileString), SYMBOL(PyEval_EvalCode),
	SYMBOL(PyEval_GetBuiltins), SYMBOL(PyEval_SaveThread), SYMBOL(PyEval_RestoreThread),
	SYMBOL(PyGILState_Ensure), SYMBOL(PyGILState_Release), SYMBOL(PyInterpreterState_Get),
	SYMBOL(PyImport_ImportModule), SYMBOL(PyObject_GetAttrString), SYMBOL(PyObject_CallFunctionObjArgs),
	SYMBOL(PyObject_Str), SYMBOL(PyUnicode_AsUTF8AndSize), SYMBOL(PyBytes_FromStringAndSize),
	SYMBOL(PyBytes_AsStringAndSize), SYMBOL(PyDict_New), SYMBOL(PyDict_SetItemString),
	SYMBOL(PyDict_GetItemString), SYMBOL(PyErr_Clear), SYMBOL(PyErr_Fetch), SYMBOL(PyErr_NormalizeException),
	SYMBOL(PySys_GetObject), SYMBOL(PyRun_SimpleString), SYMBOL(Py_DecRef),
};

// Private to CPython and gone from the exports of some versions; found at run time or not at all.
static const char *(*dump_traceback_threads)(int, interpreter *, thread_state *);

static object *functions[EDGED_FUNCTIONS];
static interpreter *this_interpreter;

int edged_python_open(const char *library, edged_thread *owner)
{
	if (edged_library(library, symbols, sizeof symbols / sizeof symbols[0], owner) != 0)
		return -1;
	edged_symbol("PyUnstable_DumpTracebackThreads", &dump_traceback_threads);
	if (dump_traceback_threads == NULL)
		edged_symbol("_Py_DumpTracebackThreads", &dump_traceback_threads);
	return 0;
}

// Moves the current exception into thread->error as "Type: message". The GIL is held.
static void describe_exception(edged_thread *thread)
{
	object *type = NULL, *value = NULL, *traceback = NULL;

	PyErr_Fetch(&type, &value, &traceback);
	PyErr_NormalizeException(&type, &value, &traceback);

	object *name = type != NULL ? PyObject_GetAttrString(type, "__name__") : NULL;
	object *text = value != NULL ? PyObject_Str(value) : NULL;
	const char *name_text = name != NULL ? PyUnicode_AsUTF8AndSize(name, NULL) : NULL;
	const char *message = text != NULL ? PyUnicode_AsUTF8AndSize(text, NULL) : NULL;

	edged_fail(thread, "%s: %s", name_text != NULL ? name_text : "unknown exception",
		  message != NULL ? message : "");
	PyErr_Clear();
	Py_DecRef(name);
	Py_DecRef(text);
	Py_DecRef(type);
	Py_DecRef(value);
	Py_DecRef(traceback);
}

int edged_python_initialize(const char *program, edged_thread *owner)
{
	if (Py_IsInitialized()) {
		edged_fail(owner, "Python was already initialised in this process");
		return -1;
	}
	wchar_t *name = Py_DecodeLocale(program, NULL);

	if (name == NULL) {
		edged_fail(owner, "the path %s cannot be decoded", program);
		return -1;
	}
	// How an embedded interpreter finds its virtual environment; never freed, Python may keep it.
	Py_SetProgramName(name);
	edged_arenas_watch();
	Py_InitializeEx(0);  // 0: signals stay Go's
	owner->thread = pthread_self();
	this_interpreter = PyInterpreterState_Get();
	return 0;
}

static long reply_bytes(edged_thread *thread, object *reply, void *out, size_t room)
{
	char *bytes;
	ssize_t length;

	if (PyBytes_AsStringAndSize(reply, &bytes, &length) != 0) {
		describe_exception(thread);
		return EDGED_NOT_BYTES;
	}
	return edged_reply(thread, bytes, (size_t)length, out, room);
}

int edged_python_run(const char *source, const char *name, const void *options, size_t n, edged_thread *owner)
{
	object *globals = PyDict_New();
	object *argument = PyBytes_FromStringAndSize(options, (ssize_t)n);
	object *code = Py_CompileString(source, name, FILE_INPUT);
	object *done = NULL, *result = NULL;
	long length = EDGED_RAISED;

	if (code != NULL && PyDict_SetItemString(globals, "options", argument) == 0 &&
	    PyDict_SetItemString(globals, "__builtins__", PyEval_GetBuiltins()) == 0)
		done = PyEval_EvalCode(code, globals, globals);
	if (done != NULL)
		result = PyDict_GetItemString(globals, "result");
	if (result != NULL)
		length = reply_bytes(owner, result, NULL, 0);
	else
		describe_exception(owner);
	Py_DecRef(done);
	Py_DecRef(code);
	Py_DecRef(argument);
	Py_DecRef(globals);
	return length < 0 ? -1 : 0;
}

int edged_python_functions(const char *module_name, edged_thread *owner)
{
	object *module = PyImport_ImportModule(module_name);

	for (int i = 0; module != NULL && i < EDGED_FUNCTIONS; i++) {
		functions[i] = PyObject_GetAttrString(module, edged_function_names[i]);
		if (functions[i] == NULL) {
			Py_DecRef(module);
			module = NULL;
		}
	}
	if (module == NULL) {
		describe_exception(owner);
		return -1;
	}
	Py_DecRef(module);
	return 0;
}

void edged_python_release(edged_thread *owner)
{
	owner->state = PyEval_SaveThread();
}

int edged_python_finalize(edged_thread *owner)
{
	PyEval_RestoreThread(owner->state);
	for (int i = 0; i < EDGED_FUNCTIONS; i++) {
		Py_DecRef(functions[i]);
		functions[i] = NULL;
	}
	if (Py_FinalizeEx() != 0) {
		edged_fail(owner, "Python could not flush its buffered output");
		return -1;
	}
	return 0;
}

void edged_python_clear(void)
{
	int gil = PyGILState_Ensure();

	PyErr_Clear();
	PyGILState_Release(gil);
}

const char *edged_python_version(void)
{
	return Py_GetVersion();
}

int edged_python_attach(edged_thread *thread)
{
	thread->thread = pthread_self();
	thread->gil = PyGILState_Ensure();
	thread->state = PyEval_SaveThread();
	return 0;
}

int edged_python_detach(edged_thread *thread)
{
	if (!pthread_equal(thread->thread, pthread_self()))
		return EDGED_WRONG_THREAD;
	PyEval_RestoreThread(thread->state);
	PyGILState_Release(thread->gil);
	thread->state = NULL;
	return 0;
}

long edged_python_call(edged_thread *thread, int function, const void *in, size_t n, void *out, size_t room)
{
	if (!pthread_equal(thread->thread, pthread_self()))
		return EDGED_WRONG_THREAD;
	PyEval_RestoreThread(thread->state);

	object *record = PyBytes_FromStringAndSize(in, (ssize_t)n);
	object *reply = record != NULL ? PyObject_CallFunctionObjArgs(functions[function], record, NULL) : NULL;
	long length = EDGED_RAISED;

	if (reply != NULL)
		length = reply_bytes(thread, reply, out, room);
	else
		describe_exception(thread);
	Py_DecRef(reply);
	Py_DecRef(record);
	thread->state = PyEval_SaveThread();
	return length;
}

int edged_python_traceback(int fd)
{
	char script[96];

	if (dump_traceback_threads != NULL)
		return dump_traceback_threads(fd, this_interpreter, NULL) == NULL ? 0 : -1;

	snprintf(script, sizeof script, "import faulthandler; faulthandler.dump_traceback(%d)", fd);
	int gil = PyGILState_Ensure();
	int status = PyRun_SimpleString(script);
	PyGILState_Release(gil);
	return status;
}

// sys._debugmallocstats() is the only account of pymalloc's arenas, and it writes to C's stderr:
// that variable points at memory for the length of the call. The GIL is held, so nothing of
// Python prints meanwhile; Go's own writing goes to the descriptor, not through stdio.
char *edged_python_malloc_stats(void)
{
	char *text = NULL;
	size_t length;
	FILE *memory = open_memstream(&text, &length);

	if (memory == NULL)
		return NULL;

	int gil = PyGILState_Ensure();
	object *function = PySys_GetObject("_debugmallocstats");  // borrowed
	FILE *standard_error = stderr;

	stderr = memory;
	object *done = function != NULL ? PyObject_CallFunctionObjArgs(function, NULL) : NULL;
	stderr = standard_error;
	if (done == NULL)
		PyErr_Clear();
	Py_DecRef(done);
	PyGILState_Release(gil);
	fclose(memory);
	return text;
}
