/* load ENDPOINT BODIES [--clients N] [--outstanding N] [--seconds S] [--warmup S] [--messages N] [--rate R] [--hold S] [--delimiter]

   Sends request bodies to a ROUTER and times the replies. BODIES has one body a line, each
   starting with {"id":10000000, whose digits are overwritten: a reply starts with the same
   id. Each client is a DEALER of its own, all on one thread.

   Closed loop: every client keeps N requests outstanding. Open loop (--rate, requests a second
   in all): requests leave on a fixed schedule whatever comes back, and a latency counts from
   the moment the schedule names, so that a stall is charged to every request it delayed.

   Prints one JSON object; latencies are in microseconds. With --hold S it stays connected for
   S seconds after that, so that the server's memory can be read. --delimiter sends the empty
   frame that a REP socket expects. */
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#define FIRST_ID 10000000
#define ID_DIGITS 8
#define SLOTS 65536 /* most requests outstanding */
#define STUCK_MS 60000

static const char head[] = "{\"id\":";
enum { id_at = sizeof head - 1 };

struct body {
    char *text;
    size_t size;
};

static struct {
    const char *endpoint;
    int clients, outstanding, delimiter;
    double seconds, warmup, rate, hold;
    long messages;
} options = {.clients = 1, .outstanding = 1, .seconds = 2, .warmup = 0.3};

static struct body *bodies;
static size_t body_count, next_body;
static void **sockets;
static zmq_pollitem_t *items;

static int64_t started_at[SLOTS]; /* ns, by slot */
static int free_slots[SLOTS], free_count;
static int64_t *latencies; /* ns, of what was sent after the warm-up */
static size_t latency_count, latency_room;
static long sent, received, errors, refused;
static int64_t measure_from, measured_until, last_reply;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t) t.tv_sec * 1000000000 + t.tv_nsec;
}

static void die(const char *what) {
    fprintf(stderr, "load: %s\n", what);
    exit(1);
}

static void read_bodies(const char *path) {
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t room = 0;
    if (!file)
        die("cannot read the bodies");
    for (ssize_t n; (n = getline(&line, &room, file)) > 0;) {
        if (line[n - 1] == '\n')
            n--;
        if (n < id_at + ID_DIGITS || memcmp(line, head, id_at) != 0)
            die("a body does not start with {\"id\":10000000");
        bodies = realloc(bodies, (body_count + 1) * sizeof *bodies);
        bodies[body_count].text = malloc((size_t) n);
        bodies[body_count].size = (size_t) n;
        memcpy(bodies[body_count++].text, line, (size_t) n);
    }
    free(line);
    fclose(file);
    if (!body_count)
        die("no bodies");
}

static void connect_all(void *context) {
    sockets = calloc((size_t) options.clients, sizeof *sockets);
    items = calloc((size_t) options.clients + 1, sizeof *items);
    for (int i = 0; i < options.clients; i++) {
        int none = 0, stuck = STUCK_MS, reconnect = 1;
        sockets[i] = zmq_socket(context, ZMQ_DEALER);
        zmq_setsockopt(sockets[i], ZMQ_SNDHWM, &none, sizeof none);
        zmq_setsockopt(sockets[i], ZMQ_RCVHWM, &none, sizeof none);
        zmq_setsockopt(sockets[i], ZMQ_LINGER, &none, sizeof none);
        /* A server that is only just starting is waited for closely: start-up is measured too. */
        zmq_setsockopt(sockets[i], ZMQ_RECONNECT_IVL, &reconnect, sizeof reconnect);
        zmq_setsockopt(sockets[i], ZMQ_RCVTIMEO, &stuck, sizeof stuck);
        if (zmq_connect(sockets[i], options.endpoint) != 0)
            die("cannot connect");
        items[i] = (zmq_pollitem_t){.socket = sockets[i], .events = ZMQ_POLLIN};
    }
}

static void send_request(int client, int64_t since) {
    struct body *body = &bodies[next_body];
    next_body = (next_body + 1) % body_count;
    if (!free_count) {
        refused++;
        return;
    }
    int slot = free_slots[--free_count];
    started_at[slot] = since;
    for (int i = ID_DIGITS - 1, id = FIRST_ID + slot; i >= 0; i--, id /= 10)
        body->text[id_at + i] = (char) ('0' + id % 10);
    if (options.delimiter && zmq_send(sockets[client], "", 0, ZMQ_SNDMORE) < 0)
        die("send failed");
    if (zmq_send(sockets[client], body->text, body->size, 0) < 0)
        die("send failed");
    sent++;
}

static int finished(int64_t now) {
    return now >= measured_until || (options.messages && sent >= options.messages);
}

static int slot_of(const char *reply, size_t size) {
    int id = 0;
    if (size < id_at + ID_DIGITS || memcmp(reply, head, id_at) != 0)
        die("a reply does not start with an id");
    for (int i = 0; i < ID_DIGITS; i++)
        id = id * 10 + (reply[id_at + i] - '0');
    if (id < FIRST_ID || id >= FIRST_ID + SLOTS)
        die("a reply has an id that was never sent");
    return id - FIRST_ID;
}

static int is_error(const char *reply, size_t size) {
    static const char mark[] = ",\"error\":";
    size_t at = id_at + ID_DIGITS;
    return size >= at + sizeof mark - 1 && memcmp(reply + at, mark, sizeof mark - 1) == 0;
}

static void take_reply(zmq_msg_t *message) {
    const char *reply = zmq_msg_data(message);
    size_t size = zmq_msg_size(message);
    int slot = slot_of(reply, size);
    int64_t since = started_at[slot], now = now_ns();
    free_slots[free_count++] = slot;
    received++;
    last_reply = now;
    if (is_error(reply, size)) {
        if (!errors++)
            fprintf(stderr, "load: %.*s\n", (int) size, reply);
        return;
    }
    if (since < measure_from)
        return;
    if (latency_count == latency_room) {
        latency_room = latency_room ? 2 * latency_room : 1 << 16;
        latencies = realloc(latencies, latency_room * sizeof *latencies);
    }
    latencies[latency_count++] = now - since;
}

/* Takes every reply that has arrived at a client; with replace, sends a request for each. */
static void serve(int client, int flags, int replace) {
    zmq_msg_t message;
    zmq_msg_init(&message);
    while (zmq_msg_recv(&message, sockets[client], flags) >= 0) {
        while (zmq_msg_more(&message)) /* the delimiter */
            zmq_msg_recv(&message, sockets[client], 0);
        take_reply(&message);
        flags = ZMQ_DONTWAIT;
        if (replace && !finished(last_reply))
            send_request(client, last_reply);
    }
    zmq_msg_close(&message);
}

static void closed_loop(void) {
    for (int i = 0; i < options.clients; i++)
        for (int n = 0; n < options.outstanding && !finished(now_ns()); n++)
            send_request(i, now_ns());
    while (received < sent) {
        if (options.clients == 1) {
            long before = received;
            serve(0, 0, 1);
            if (received == before)
                die("no reply for a minute");
            continue;
        }
        if (zmq_poll(items, options.clients, STUCK_MS) == 0)
            die("no reply for a minute");
        for (int i = 0; i < options.clients; i++)
            if (items[i].revents)
                serve(i, ZMQ_DONTWAIT, 1);
    }
}

static struct timespec timespec_of(int64_t ns) { return (struct timespec){ns / 1000000000, ns % 1000000000}; }

/* Sleeps to the nanosecond: zmq_poll counts in milliseconds, and a generator that polls through the last one takes
   from the server the processor that it measures. */
static void open_loop(int64_t start) {
    double interval = 1e9 / options.rate;
    int64_t due = start;
    int timer = timerfd_create(CLOCK_MONOTONIC, 0);
    items[options.clients] = (zmq_pollitem_t){.fd = timer, .events = ZMQ_POLLIN};
    for (long n = 0; !finished(due) || received < sent;) {
        for (int64_t now = now_ns(); !finished(due) && due <= now; due = start + (int64_t) (++n * interval))
            send_request((int) (n % options.clients), due);
        struct itimerspec next = {.it_value = timespec_of(finished(due) ? 0 : due)};
        if (timerfd_settime(timer, TFD_TIMER_ABSTIME, &next, NULL) != 0)
            die("no timer");
        if (zmq_poll(items, options.clients + 1, STUCK_MS) == 0)
            die("no reply for a minute");
        for (int i = 0; i < options.clients; i++)
            if (items[i].revents)
                serve(i, ZMQ_DONTWAIT, 0);
    }
    close(timer);
}

static int ascending(const void *a, const void *b) {
    int64_t x = *(const int64_t *) a, y = *(const int64_t *) b;
    return (x > y) - (x < y);
}

/* The smallest latency that at least this share of all do not exceed. */
static double percentile(double share) {
    if (!latency_count)
        return 0;
    size_t rank = (size_t) (share / 100 * (double) latency_count + 0.999999);
    return (double) latencies[rank ? rank - 1 : 0] / 1000;
}

static double cpu_seconds(void) {
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double) (r.ru_utime.tv_sec + r.ru_stime.tv_sec) + (double) (r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static void report(void) {
    static const double shares[] = {50, 90, 95, 99, 99.9};
    double seconds = (double) (last_reply - measure_from) / 1e9;
    qsort(latencies, latency_count, sizeof *latencies, ascending);
    printf("{\"replies\":%zu,\"errors\":%ld,\"unsent\":%ld,\"seconds\":%.6f,\"per_second\":%.1f,\"cpu_seconds\":%.3f,\"ended\":%.6f,\"latency_us\":{", latency_count,
           errors, refused, seconds, (double) latency_count / seconds, cpu_seconds(), (double) last_reply / 1e9);
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++)
        printf("\"p%g\":%.2f,", shares[i], percentile(shares[i]));
    printf("\"max\":%.2f}}\n", percentile(100));
}

static void parse(int argc, char **argv) {
    static const struct option known[] = {
        {"clients", 1, NULL, 'c'}, {"outstanding", 1, NULL, 'o'}, {"seconds", 1, NULL, 's'}, {"warmup", 1, NULL, 'w'},
        {"messages", 1, NULL, 'm'}, {"rate", 1, NULL, 'r'}, {"hold", 1, NULL, 'h'}, {"delimiter", 0, NULL, 'd'}, {0},
    };
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 'c': options.clients = atoi(optarg); break;
        case 'o': options.outstanding = atoi(optarg); break;
        case 's': options.seconds = atof(optarg); break;
        case 'w': options.warmup = atof(optarg); break;
        case 'm': options.messages = atol(optarg); break;
        case 'r': options.rate = atof(optarg); break;
        case 'h': options.hold = atof(optarg); break;
        case 'd': options.delimiter = 1; break;
        default: exit(64);
        }
    }
    if (argc - optind != 2 || options.clients < 1 || options.outstanding < 1 ||
        (long) options.clients * options.outstanding > SLOTS) {
        fprintf(stderr, "usage: load ENDPOINT BODIES [--clients N] [--outstanding N] [--seconds S] [--warmup S] [--messages N] [--rate R] [--hold S] [--delimiter]\n");
        exit(64);
    }
    options.endpoint = argv[optind];
}

int main(int argc, char **argv) {
    parse(argc, argv);
    read_bodies(argv[optind + 1]);
    for (free_count = 0; free_count < SLOTS; free_count++)
        free_slots[free_count] = SLOTS - 1 - free_count;
    void *context = zmq_ctx_new();
    connect_all(context);
    int64_t start = now_ns();
    measure_from = start + (int64_t) (options.warmup * 1e9);
    measured_until = measure_from + (int64_t) (options.seconds * 1e9);
    if (options.rate > 0)
        open_loop(start);
    else
        closed_loop();
    report();
    fflush(stdout);
    usleep((useconds_t) (options.hold * 1e6));
    for (int i = 0; i < options.clients; i++)
        zmq_close(sockets[i]);
    zmq_ctx_term(context);
    return 0;
}
