// Load client for whole answers: pload PORT PATH CONNS SECS KEY MODEL [HEADER ...]
// Keeps CONNS connections busy with one request at a time each, for SECS seconds; prints JSON with times in milliseconds.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef struct { int fd; uint64_t began; size_t got; long want; int status; char head[2048]; } conn;
static char request[16384];
static int request_bytes, port, queue;
static double *times;
static long count, count_max = 4000000, errors;

static uint64_t now_us(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return (uint64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000; }

static void start(conn *c) {
  if (c->fd < 0) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->fd, (void *)&a, sizeof a)) { perror("connect"); exit(2); }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(queue, EPOLL_CTL_ADD, c->fd, &e);
  }
  c->began = now_us();
  c->got = 0;
  c->want = -1;
  c->status = 0;
  if (write(c->fd, request, request_bytes) != request_bytes) { perror("write"); exit(2); }
}

static void read_answer(conn *c) {
  char b[65536];
  ssize_t r = read(c->fd, b, sizeof b);
  if (r < 0 && errno == EAGAIN) return;
  if (r <= 0) { close(c->fd); c->fd = -1; errors++; start(c); return; }
  if (c->want < 0) {
    size_t room = sizeof c->head - 1 - c->got, take = (size_t)r < room ? (size_t)r : room;
    memcpy(c->head + c->got, b, take);
    c->head[c->got + take] = 0;
    char *end = strstr(c->head, "\r\n\r\n"), *length = strcasestr(c->head, "\r\ncontent-length:");
    if (end && length) { c->status = atoi(c->head + 9); c->want = (end - c->head) + 4 + atol(length + 17); }
  }
  c->got += r;
  if (c->want >= 0 && (long)c->got >= c->want) {
    if (c->status != 200) { if (errors++ < 3) fprintf(stderr, "%.600s\n", c->head); }
    else if (count < count_max) times[count++] = (now_us() - c->began) / 1e3;
    start(c);
  }
}

static int order(const void *a, const void *b) { double x = *(const double *)a, y = *(const double *)b; return x < y ? -1 : x > y; }

int main(int argc, char **argv) {
  if (argc < 7) { fprintf(stderr, "pload PORT PATH CONNS SECS KEY MODEL [HEADER ...]\n"); return 2; }
  port = atoi(argv[1]);
  int conns = atoi(argv[3]);
  double seconds = atof(argv[4]);
  char body[4096], prompt[1024] = "", extra[2048] = "";
  while (strlen(prompt) < 700) strcat(prompt, "Tell me a short story about a fox. ");
  int body_bytes = sprintf(body, "{\"model\":\"%s\",\"messages\":[{\"role\":\"system\",\"content\":\"You are a helpful assistant.\"},{\"role\":\"user\",\"content\":\"%s\"}],\"temperature\":0.7,\"max_tokens\":256}", argv[6], prompt);
  for (int i = 7; i < argc; i++) { strcat(extra, argv[i]); strcat(extra, "\r\n"); }
  request_bytes = sprintf(request, "POST %s HTTP/1.1\r\nhost: 127.0.0.1:%d\r\nauthorization: Bearer %s\r\ncontent-type: application/json\r\naccept: application/json\r\nuser-agent: pload\r\n%scontent-length: %d\r\n\r\n%s", argv[2], port, argv[5], extra, body_bytes, body);
  times = malloc(sizeof(double) * count_max);
  queue = epoll_create1(0);
  conn *all = calloc(conns, sizeof(conn));
  uint64_t began = now_us(), end = began + (uint64_t)(seconds * 1e6);
  for (int i = 0; i < conns; i++) { all[i].fd = -1; start(&all[i]); }
  struct epoll_event events[256];
  while (now_us() < end) {
    int n = epoll_wait(queue, events, 256, 100);
    for (int i = 0; i < n; i++) read_answer(events[i].data.ptr);
  }
  double took = (now_us() - began) / 1e6;
  qsort(times, count, sizeof(double), order);
  printf("{\"requests\":%ld,\"errors\":%ld,\"seconds\":%.3f,\"rps\":%.1f,\"p50\":%.4f,\"p99\":%.4f}\n", count, errors, took, count / took,
         count ? times[count / 2] : 0, count ? times[(long)(count * 0.99)] : 0);
  return 0;
}
