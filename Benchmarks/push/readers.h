// What the load client of the push benchmark is made of. One thread, epoll, loopback only.
#ifndef READERS_H
#define READERS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <zlib.h>

enum { READ_SIZE = 512 * 1024, MOST_HEADERS = 8 };

typedef enum { NEW, CONNECTING, GREETING, OPEN, LOST } Stage;

typedef struct {
  int socket;
  uint8_t stage, was_open, paused, deflates;
  uint16_t close_code;     // of the last close frame; 1006 when there was none
  uint16_t failures;       // connects that failed since the last that did not
  uint32_t kept, room;     // bytes of an unfinished frame, and what `keep` holds
  uint8_t *keep;
  uint64_t last, began, retry_at, messages;
  z_stream *inflater;
} Reader;

typedef struct {
  const char *path, *time_key, *headers[MOST_HEADERS];
  int port, readers, sources, header_count, inflight, deflate, server, paused, receive_buffer, resume, obeys;
  double warm, seconds, idle, limit, settle;
} Options;

typedef struct {
  uint64_t counts[64 * 64], total, highest, sum;
} Histogram;

typedef struct {
  uint64_t open, lost, slow, dropped, refused, messages, payload, gaps, repeats, faults, resets, reopened;
  int measuring, connecting;
  char first_fault[200], epoch[80];
  Histogram delays, connects;
} Totals;

extern Options options;
extern Totals totals;

// histogram.c
void note(Histogram *histogram, uint64_t value);
double quantile_us(const Histogram *histogram, double part);

// frames.c
// Takes whole frames off `bytes`; returns how many bytes it used, -1 when the connection is over.
ssize_t take_frames(Reader *reader, uint8_t *bytes, size_t count, uint64_t now);
int send_frame(Reader *reader, int opcode, const void *payload, size_t count);

// connections.c
uint64_t now_ns(void);
void prepare(void);
Reader *reader_at(int index);
void lose(Reader *reader, const char *why, int error);
void step(int milliseconds);
void watch(Reader *reader, int reads);

#endif
