/* echo ENDPOINT: a bare libzmq ROUTER that sends every message back as it came. The limit of
   what any ZeroMQ server can reach on a machine. */
#include <stdio.h>
#include <zmq.h>

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: echo ENDPOINT\n");
        return 64;
    }
    void *context = zmq_ctx_new();
    void *router = zmq_socket(context, ZMQ_ROUTER);
    if (zmq_bind(router, argv[1]) != 0) {
        fprintf(stderr, "echo: cannot listen on %s: %s\n", argv[1], zmq_strerror(zmq_errno()));
        return 73;
    }
    for (zmq_msg_t frame;;) {
        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, router, 0) < 0)
            continue; /* interrupted */
        int more = zmq_msg_more(&frame);
        if (zmq_msg_send(&frame, router, more ? ZMQ_SNDMORE : 0) < 0)
            zmq_msg_close(&frame);
    }
}
