#include "router.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <zmq.h>

struct edged_router {
    void *socket;
    int users; /* ask for the User-Id that ZAP gave */
    int wake;
    int ready; /* what libzmq's descriptor is, for poll */
    /* One message, kept when it does not fit the buffer. */
    int pending;
    int kept;
    uint32_t frames;
    zmq_msg_t frame[1 + EDGED_FRAMES];
};

struct edged_router *edged_router_open(void *socket, int users) {
    struct edged_router *router = calloc(1, sizeof *router);
    if (!router)
        return NULL;
    size_t size = sizeof router->ready;
    router->socket = socket;
    router->users = users;
    router->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (router->wake < 0 || zmq_getsockopt(socket, ZMQ_FD, &router->ready, &size) != 0) {
        int cause = errno;
        edged_router_close(router);
        errno = cause;
        return NULL;
    }
    return router;
}

static void forget(struct edged_router *router) {
    for (int i = 0; i < router->kept; i++)
        zmq_msg_close(&router->frame[i]);
    router->kept = 0;
    router->pending = 0;
}

void edged_router_close(struct edged_router *router) {
    forget(router);
    if (router->wake >= 0)
        close(router->wake);
    free(router);
}

static int receive_frame(void *socket, zmq_msg_t *frame) {
    zmq_msg_init(frame);
    int n;
    do
        n = zmq_msg_recv(frame, socket, ZMQ_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        zmq_msg_close(frame);
    return n;
}

/* Takes one message from the socket. Frames beyond the last kept one replace it, so that the
   last kept is always the last one sent. 1, 0 for none, -1. */
static int take(struct edged_router *router) {
    router->kept = 0;
    router->frames = 0;
    for (int more = 1; more;) {
        zmq_msg_t frame;
        if (receive_frame(router->socket, &frame) < 0) {
            int cause = errno;
            forget(router);
            errno = cause;
            return cause == EAGAIN ? 0 : -1;
        }
        more = zmq_msg_more(&frame);
        if (router->kept == 1 + EDGED_FRAMES)
            zmq_msg_close(&router->frame[--router->kept]);
        router->frame[router->kept++] = frame;
        router->frames++;
    }
    router->frames--; /* the routing id */
    router->pending = 1;
    return 1;
}

static uint8_t *put(uint8_t *to, const void *from, size_t size) {
    if (size)
        memcpy(to, from, size);
    return to + size;
}

/* Writes the pending message; returns its size, or what it would need. */
static size_t write_message(struct edged_router *router, uint8_t *buffer, size_t room) {
    struct edged_message head = {0};
    int last = router->kept - 1;
    const char *user = NULL;
    if (last > 0) {
        head.body = (uint32_t) zmq_msg_size(&router->frame[last]);
        if (router->users)
            user = zmq_msg_gets(&router->frame[last], "User-Id");
    }
    head.user = user ? (uint32_t) strlen(user) : 0;
    head.peer = (uint32_t) zmq_msg_size(&router->frame[0]);
    head.frames = router->frames;
    for (int i = 1; i < last; i++)
        head.envelope += sizeof(uint32_t) + (uint32_t) zmq_msg_size(&router->frame[i]);
    size_t size = sizeof head + (size_t) head.peer + head.envelope + head.user + head.body;
    size = (size + 7) & ~(size_t) 7;
    head.size = (uint32_t) size;
    if (size > room)
        return size;
    uint8_t *at = put(buffer, &head, sizeof head);
    at = put(at, zmq_msg_data(&router->frame[0]), head.peer);
    for (int i = 1; i < last; i++) {
        uint32_t n = (uint32_t) zmq_msg_size(&router->frame[i]);
        at = put(at, &n, sizeof n);
        at = put(at, zmq_msg_data(&router->frame[i]), n);
    }
    at = put(at, user, head.user);
    if (last > 0)
        put(at, zmq_msg_data(&router->frame[last]), head.body);
    return size;
}

int edged_receive(struct edged_router *router, uint8_t *buffer, size_t capacity, int most, size_t *used, size_t *need) {
    int count = 0;
    *used = *need = 0;
    while (count < most) {
        if (!router->pending) {
            int taken = take(router);
            if (taken < 0)
                return count ? count : -1;
            if (taken == 0)
                return count;
        }
        size_t size = write_message(router, buffer + *used, capacity - *used);
        if (size > capacity - *used) {
            if (!count)
                *need = size;
            return count;
        }
        forget(router);
        *used += size;
        count++;
    }
    return count;
}

static int send_frame(void *socket, const void *data, size_t size, int flags) {
    int n;
    do
        n = zmq_send(socket, data, size, flags | ZMQ_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? errno : 0;
}

int edged_send(struct edged_router *router, const uint8_t *peer, size_t peer_size, const uint8_t *envelope,
               size_t envelope_size, const uint8_t *body, size_t body_size) {
    int fault = send_frame(router->socket, peer, peer_size, ZMQ_SNDMORE);
    for (size_t at = 0; !fault && at < envelope_size;) {
        uint32_t n;
        memcpy(&n, envelope + at, sizeof n);
        at += sizeof n;
        fault = send_frame(router->socket, envelope + at, n, ZMQ_SNDMORE);
        at += n;
    }
    return fault ? fault : send_frame(router->socket, body, body_size, 0);
}

int edged_wait(struct edged_router *router, int timeout, int deaf) {
    struct pollfd fds[2] = {{.fd = router->wake, .events = POLLIN}, {.fd = router->ready, .events = POLLIN}};
    if (poll(fds, deaf ? 1 : 2, timeout) < 0 && errno != EINTR)
        return errno;
    if (fds[0].revents) {
        uint64_t count;
        if (read(router->wake, &count, sizeof count) < 0 && errno != EAGAIN)
            return errno;
    }
    return 0;
}

void edged_wake(struct edged_router *router) {
    uint64_t one = 1;
    /* It can only fail with EAGAIN, when the counter is full: then it is awake anyway. */
    ssize_t ignored = write(router->wake, &one, sizeof one);
    (void) ignored;
}
