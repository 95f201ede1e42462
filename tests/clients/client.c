/* Scores each argument with edged, and prints the replies.
 *   cc client.c -lzmq -o client && ./client ipc:///run/edged/edged.sock "Bright cherry, long finish."
 */
#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

/* Writes {"text":"..."} for a UTF-8 text; returns its length. to needs 6 bytes for each of text's, and 16. */
static size_t request(char *to, const char *text)
{
    char *at = to + sprintf(to, "{\"text\":\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            *at++ = '\\', *at++ = *text;
        else if ((unsigned char)*text < 0x20)
            at += sprintf(at, "\\u%04x", *text);
        else
            *at++ = *text;
    }
    at += sprintf(at, "\"}");
    return (size_t)(at - to);
}

int main(int argc, char **argv)
{
    static char body[1 << 19], reply[1 << 16];
    int timeout = 10000, none = 0;
    void *context = zmq_ctx_new(), *socket = zmq_socket(context, ZMQ_REQ);

    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout, sizeof timeout);
    zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none);
    if (argc < 2 || zmq_connect(socket, argv[1]))
        return fprintf(stderr, "usage: client ENDPOINT TEXT...\n"), 64;
    for (int i = 2; i < argc; i++) {
        int size = -1;
        if (zmq_send(socket, body, request(body, argv[i]), 0) >= 0)
            size = zmq_recv(socket, reply, sizeof reply, 0);
        if (size < 0)
            return fprintf(stderr, "%s: %s\n", argv[1], zmq_strerror(zmq_errno())), 69;
        printf("%.*s\n", size, reply);
    }
    zmq_close(socket);
    zmq_ctx_destroy(context);
    return 0;
}
