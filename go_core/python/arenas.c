// Where pymalloc's arenas lie: the kernel shows them as anonymous memory like any other, so we note what goes through
// Python's arena allocator (PyObject_SetArenaAllocator, the same in 3.9 to 3.14).

#include "shim.h"
#include "shim_internal.h"

#include <pthread.h>
#include <string.h>

typedef struct arena_allocator {
	void *context;
	void *(*alloc)(void *context, size_t size);
	void (*free)(void *context, void *start, size_t size);
} arena_allocator;

// An arena is 1 MiB (256 KiB before 3.10, and on 32 bits): more of them than this fit no board.
#define MOST_ARENAS 1024

static arena_allocator standard;
static edged_range arenas[MOST_ARENAS];
static size_t count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *arena_alloc(void *context, size_t size)
{
	void *start = standard.alloc(context, size);

	pthread_mutex_lock(&lock);
	if (start != NULL && count < MOST_ARENAS)
		arenas[count++] = (edged_range){ (uint64_t)(uintptr_t)start, (uint64_t)(uintptr_t)start + size };
	pthread_mutex_unlock(&lock);
	return start;
}

static void arena_free(void *context, void *start, size_t size)
{
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < count; i++) {
		if (arenas[i].start != (uint64_t)(uintptr_t)start)
			continue;
		arenas[i] = arenas[--count];
		break;
	}
	pthread_mutex_unlock(&lock);
	standard.free(context, start, size);
}

void edged_arenas_watch(void)
{
	void (*get)(arena_allocator *), (*set)(arena_allocator *);

	edged_symbol("PyObject_GetArenaAllocator", &get);
	edged_symbol("PyObject_SetArenaAllocator", &set);
	if (get == NULL || set == NULL)
		return;  // its arenas will be counted with the C heap
	get(&standard);
	set(&(arena_allocator){ standard.context, arena_alloc, arena_free });
}

size_t edged_arenas(edged_range *ranges, size_t room)
{
	pthread_mutex_lock(&lock);
	size_t n = count < room ? count : room;

	memcpy(ranges, arenas, n * sizeof *ranges);
	pthread_mutex_unlock(&lock);
	return n;
}
