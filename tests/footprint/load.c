// A load generator that shares no page with the daemon it measures: linked statically, it speaks ZMTP 3.0 (NULL mechanism,
// https://rfc.zeromq.org/spec/23) over the daemon's ipc socket itself, so that no second process maps libzmq, libc or
// Python while the daemon's PSS is read.
//
//     load SOCKET REVIEWS.jsonl [-n reviews] [-c clients] [-w window] [-b body_bytes] [-m permille] [-r] [-s seed] [-t seconds]
//     load SOCKET -q REQUEST
//
// It keeps `window` requests of each client outstanding. -b packs reviews into requests of up to that many bytes, -m makes
// so many of a thousand requests malformed, -r varies the lengths, -t gives up. -q sends one request and prints the reply.
// Every request must get exactly one reply; the exit code is 1 when one is missing or an error was not earned.

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MORE = 1, LONG = 2, COMMAND = 4, MOST_CLIENTS = 256, MOST_BODY = 16 << 20 };

struct buffer {
	uint8_t *bytes;
	size_t start, end, room;
};

struct client {
	int fd;
	struct buffer in, out;
	unsigned outstanding;
};

struct options {
	uint64_t reviews, seed;
	unsigned clients, window, malformed, seconds;
	size_t body;
	bool vary;
};

static struct {
	uint64_t sent, sent_reviews, replies, results, busy, refused, other_errors, malformed;
} count;

static char **texts; // JSON strings without their quotes
static size_t text_count;
static uint64_t state;

static void fail(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

// xorshift64*, Vigna 2016: the same requests for the same seed.
static uint64_t random_below(uint64_t bound)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (state * 2685821657736338717u >> 11) % bound;
}

static void reserve(struct buffer *b, size_t more)
{
	if (b->start > 0 && (b->start == b->end || b->end + more > b->room)) {
		memmove(b->bytes, b->bytes + b->start, b->end - b->start);
		b->end -= b->start;
		b->start = 0;
	}
	if (b->end + more <= b->room)
		return;
	b->room = 2 * (b->end + more);
	b->bytes = realloc(b->bytes, b->room);
	if (b->bytes == NULL)
		fail("memory");
}

static void put(struct buffer *b, const void *bytes, size_t n)
{
	reserve(b, n);
	memcpy(b->bytes + b->end, bytes, n);
	b->end += n;
}

static void put_frame(struct buffer *b, int flags, const void *body, size_t n)
{
	uint8_t head[9] = { (uint8_t)(flags | (n > 255 ? LONG : 0)) };
	size_t size = n > 255 ? 8 : 1;

	for (size_t i = 0; i < size; i++)
		head[1 + i] = (uint8_t)(n >> 8 * (size - 1 - i));
	put(b, head, 1 + size);
	put(b, body, n);
}

// The text of each line's "text" member, as written there.
static void read_reviews(const char *path)
{
	FILE *file = fopen(path, "r");
	char *line = NULL;
	size_t room = 0, capacity = 0;

	if (file == NULL)
		fail(path);
	while (getline(&line, &room, file) > 0) {
		char *start = strstr(line, "\"text\":");
		if (start == NULL || (start = strchr(start + 7, '"')) == NULL)
			continue;
		char *end = ++start;
		while (*end != '\0' && *end != '"')
			end += *end == '\\' && end[1] != '\0' ? 2 : 1;
		*end = '\0';
		if (text_count == capacity)
			texts = realloc(texts, (capacity = 2 * capacity + 64) * sizeof *texts);
		texts[text_count++] = strdup(start);
	}
	free(line);
	fclose(file);
	if (text_count == 0) {
		fprintf(stderr, "load: %s holds no reviews\n", path);
		exit(1);
	}
}

static size_t append(char *body, size_t at, const char *text, size_t n)
{
	memcpy(body + at, text, n);
	return at + n;
}

// One review: whole, or with -r cut after a word, or several in one.
static size_t append_review(char *body, size_t at, bool vary)
{
	const char *text = texts[random_below(text_count)];
	size_t length = strlen(text);
	uint64_t kind = vary ? random_below(4) : 0;

	if (kind == 1) {
		size_t cut = random_below(length + 1);
		while (cut < length && text[cut] != ' ')
			cut++;
		length = cut;
	}
	at = append(body, at, text, length);
	for (uint64_t more = kind == 2 ? random_below(12) : 0; more > 0; more--) {
		text = texts[random_below(text_count)];
		at = append(body, at, " ", 1);
		at = append(body, at, text, strlen(text));
	}
	return at;
}

static const char *const malformed[] = { "", "{", "[]", "{\"text\":3}", "{\"text\":\"\xff\xfe\"}", "{\"op\":\"dance\"}",
					 "{\"texts\":[\"a\",]}", "{\"text\":\"a\",\"texts\":[]}", "{\"v\":9,\"text\":\"a\"}" };

// Writes the next request and returns how many reviews are in it.
static unsigned next_request(const struct options *o, struct buffer *out)
{
	static char body[MOST_BODY];
	size_t at = 0;
	unsigned reviews = 0;

	if (o->malformed > 0 && random_below(1000) < o->malformed) {
		const char *text = malformed[random_below(sizeof malformed / sizeof *malformed)];
		put_frame(out, 0, text, strlen(text));
		count.malformed++;
		return 0;
	}
	if (o->body == 0) {
		at = append(body, 0, "{\"text\":\"", 9);
		at = append_review(body, at, o->vary);
		at = append(body, at, "\"}", 2);
		reviews = 1;
	} else {
		at = append(body, 0, "{\"texts\":[", 10);
		for (;; reviews++) {
			const char *text = texts[random_below(text_count)];
			size_t length = strlen(text);
			if (at + length + 8 > o->body && reviews > 0)
				break;
			at = append(body, at, reviews > 0 ? ",\"" : "\"", reviews > 0 ? 2 : 1);
			at = append(body, at, text, length);
			at = append(body, at, "\"", 1);
		}
		at = append(body, at, "]}", 2);
	}
	put_frame(out, 0, body, at);
	return reviews;
}

static void take_reply(const uint8_t *body, size_t n)
{
	static const char busy[] = "{\"error\":{\"code\":\"busy\"", refused[] = "{\"error\":{\"code\":\"bad_request\"", error[] = "{\"error\"";

	count.replies++;
	if (n >= sizeof busy - 1 && memcmp(body, busy, sizeof busy - 1) == 0)
		count.busy++;
	else if (n >= sizeof refused - 1 && memcmp(body, refused, sizeof refused - 1) == 0)
		count.refused++;
	else if (n >= sizeof error - 1 && memcmp(body, error, sizeof error - 1) == 0) {
		if (count.other_errors++ == 0)
			fprintf(stderr, "load: unexpected %.*s\n", (int)n, (const char *)body);
	} else
		count.results++;
}

// Takes one whole frame from the buffer; false when there is none yet.
static bool take_frame(struct buffer *in, int *flags, const uint8_t **body, size_t *n)
{
	size_t have = in->end - in->start;
	const uint8_t *p = in->bytes + in->start;

	if (have < 2)
		return false;
	size_t size = p[0] & LONG ? 8 : 1;
	if (have < 1 + size)
		return false;
	*n = 0;
	for (size_t i = 0; i < size; i++)
		*n = *n << 8 | p[1 + i];
	if (have < 1 + size + *n)
		return false;
	*flags = p[0];
	*body = p + 1 + size;
	in->start += 1 + size + *n;
	return true;
}

static void answer_command(struct client *c, const uint8_t *body, size_t n)
{
	if (n >= 7 && memcmp(body, "\4PING", 5) == 0) {
		uint8_t pong[64] = "\4PONG";
		size_t context = n - 7 < 16 ? n - 7 : 16; // after the two bytes of its time to live
		memcpy(pong + 5, body + 7, context);
		put_frame(&c->out, COMMAND, pong, 5 + context);
	}
}

static void read_some(struct client *c)
{
	reserve(&c->in, 1 << 16);
	ssize_t n = read(c->fd, c->in.bytes + c->in.end, c->in.room - c->in.end);
	if (n == 0) {
		fprintf(stderr, "load: the daemon closed the connection\n");
		exit(1);
	}
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			fail("read");
		return;
	}
	c->in.end += (size_t)n;
}

static void write_some(struct client *c)
{
	ssize_t n = write(c->fd, c->out.bytes + c->out.start, c->out.end - c->out.start);
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			fail("write");
		return;
	}
	c->out.start += (size_t)n;
}

// Waits until the client's socket is readable.
static void wait_readable(struct client *c)
{
	struct pollfd p = { c->fd, POLLIN, 0 };
	if (poll(&p, 1, 10000) <= 0) {
		fprintf(stderr, "load: no answer within 10 s\n");
		exit(1);
	}
	read_some(c);
}

static void connect_client(struct client *c, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	uint8_t greeting[64] = { 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0, 'N', 'U', 'L', 'L' };
	static const uint8_t ready[] = "\5READY\13Socket-Type\0\0\0\6DEALER";
	int flags;
	const uint8_t *body;
	size_t n;

	if (strlen(path) >= sizeof address.sun_path) {
		errno = ENAMETOOLONG;
		fail(path);
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0)
		fail(path);
	put(&c->out, greeting, sizeof greeting);
	put_frame(&c->out, COMMAND, ready, sizeof ready - 1);
	while (c->out.start < c->out.end)
		write_some(c);
	while (c->in.end < 64)
		wait_readable(c);
	c->in.start = 64;
	while (!take_frame(&c->in, &flags, &body, &n)) // its READY
		wait_readable(c);
	if (fcntl(c->fd, F_SETFL, O_NONBLOCK) != 0)
		fail("fcntl");
}

static void fill(struct client *c, const struct options *o)
{
	while (c->outstanding < o->window && count.sent_reviews < o->reviews && c->out.end - c->out.start < 1 << 20) {
		count.sent_reviews += next_request(o, &c->out);
		count.sent++;
		c->outstanding++;
	}
}

static void drain_input(struct client *c)
{
	int flags;
	const uint8_t *body;
	size_t n;

	while (take_frame(&c->in, &flags, &body, &n)) {
		if (flags & COMMAND)
			answer_command(c, body, n);
		else if (!(flags & MORE)) {
			take_reply(body, n);
			c->outstanding--;
		}
	}
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void run(struct client *clients, const struct options *o)
{
	struct pollfd polled[MOST_CLIENTS];
	double give_up = now() + o->seconds;

	while ((count.sent_reviews < o->reviews || count.replies < count.sent) && now() < give_up) {
		for (unsigned i = 0; i < o->clients; i++) {
			struct client *c = &clients[i];
			fill(c, o);
			polled[i] = (struct pollfd){ c->fd, (short)(POLLIN | (c->out.start < c->out.end ? POLLOUT : 0)), 0 };
		}
		if (poll(polled, o->clients, 1000) < 0 && errno != EINTR)
			fail("poll");
		for (unsigned i = 0; i < o->clients; i++) {
			if (polled[i].revents & POLLOUT)
				write_some(&clients[i]);
			if (polled[i].revents & (POLLIN | POLLHUP)) {
				read_some(&clients[i]);
				drain_input(&clients[i]);
			}
		}
	}
}

static int ask(const char *path, const char *request)
{
	struct client c = { 0 };
	int flags = COMMAND;
	const uint8_t *body;
	size_t n;

	connect_client(&c, path);
	put_frame(&c.out, 0, request, strlen(request));
	while (c.out.start < c.out.end)
		write_some(&c);
	while (flags & COMMAND) {
		while (!take_frame(&c.in, &flags, &body, &n))
			wait_readable(&c);
		if (flags & COMMAND)
			answer_command(&c, body, n);
	}
	fwrite(body, 1, n, stdout);
	putchar('\n');
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = { .reviews = 100000, .seed = 1, .clients = 1, .window = 64, .seconds = 600 };
	const char *request = NULL;
	int option;

	while ((option = getopt(argc, argv, "n:c:w:b:m:rs:t:q:")) != -1)
		switch (option) {
		case 'n': o.reviews = strtoull(optarg, NULL, 10); break;
		case 'c': o.clients = (unsigned)atoi(optarg); break;
		case 'w': o.window = (unsigned)atoi(optarg); break;
		case 'b': o.body = (size_t)atoll(optarg); break;
		case 'm': o.malformed = (unsigned)atoi(optarg); break;
		case 'r': o.vary = true; break;
		case 's': o.seed = strtoull(optarg, NULL, 10); break;
		case 't': o.seconds = (unsigned)atoi(optarg); break;
		case 'q': request = optarg; break;
		default: return 64;
		}
	if (optind + (request == NULL ? 2 : 1) != argc || o.clients < 1 || o.clients > MOST_CLIENTS || o.body > MOST_BODY - 4096) {
		fprintf(stderr, "usage: load [-n reviews] [-c clients] [-w window] [-b body_bytes] [-m permille] [-r] [-s seed] [-t seconds] SOCKET REVIEWS.jsonl\n       load -q REQUEST SOCKET\n");
		return 64;
	}
	if (request != NULL)
		return ask(argv[optind], request);

	static struct client clients[MOST_CLIENTS];
	state = o.seed * 0x9e3779b97f4a7c15u + 1;
	read_reviews(argv[optind + 1]);
	for (unsigned i = 0; i < o.clients; i++)
		connect_client(&clients[i], argv[optind]);
	double start = now();
	run(clients, &o);
	printf("reviews=%llu requests=%llu replies=%llu results=%llu busy=%llu malformed=%llu bad_request=%llu other_errors=%llu seconds=%.3f\n",
	       (unsigned long long)count.sent_reviews, (unsigned long long)count.sent, (unsigned long long)count.replies,
	       (unsigned long long)count.results, (unsigned long long)count.busy, (unsigned long long)count.malformed,
	       (unsigned long long)count.refused, (unsigned long long)count.other_errors, now() - start);
	return count.replies != count.sent || count.refused != count.malformed || count.other_errors != 0;
}
