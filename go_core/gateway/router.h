/* The ROUTER's hot path: many messages in one call from Go, and sleep on two descriptors.
   pebbe/zmq4 costs six calls into C and an allocation for each frame; this costs one call for
   all that has arrived. Everything else about sockets stays with pebbe/zmq4. */
#ifndef EDGED_ROUTER_H
#define EDGED_ROUTER_H

#include <stddef.h>
#include <stdint.h>

/* Frames after the routing id that are kept; a message with more is flagged. */
#define EDGED_FRAMES 8

/* What precedes each message in the buffer; then peer, envelope, user and body, unpadded.
   The envelope is its frames, each a native uint32_t length and its bytes. */
struct edged_message {
    uint32_t size; /* of all of it, this header included, rounded up to 8 */
    uint32_t peer;
    uint32_t envelope;
    uint32_t user;
    uint32_t body;
    uint32_t frames; /* after the routing id, as sent */
};

struct edged_router;

/* socket is a libzmq ROUTER, owned by the caller and by the calling thread. NULL: errno. */
struct edged_router *edged_router_open(void *socket, int users);
void edged_router_close(struct edged_router *router);

/* Fills buffer with whole messages and returns how many, 0 when none waits. Where the first
   does not fit, returns 0 and sets *need to its size. -1: errno. */
int edged_receive(struct edged_router *router, uint8_t *buffer, size_t capacity, int most, size_t *used, size_t *need);

/* Sends without waiting. 0, or errno: EAGAIN (high-water mark), EHOSTUNREACH (gone). */
int edged_send(struct edged_router *router, const uint8_t *peer, size_t peer_size, const uint8_t *envelope,
               size_t envelope_size, const uint8_t *body, size_t body_size);

/* Sleeps until a message may have arrived (unless deaf), edged_wake was called, or timeout
   milliseconds have passed (negative: no limit). Only right after edged_receive gave 0:
   libzmq's descriptor is edge-triggered. 0, or errno. */
int edged_wait(struct edged_router *router, int timeout, int deaf);

/* Ends edged_wait, from any thread. */
void edged_wake(struct edged_router *router);

#endif
