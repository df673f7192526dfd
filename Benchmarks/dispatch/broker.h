// One connection to a broker of jobs, and what the two brokers have in common.
#include <stddef.h>

typedef struct {
  int socket;
  char *buffer;
  size_t start, end, capacity;
} Link;

typedef char Identity[32];

typedef struct {
  // Makes what the run needs, once.
  void (*prepare)(Link *);
  // What each worker says first.
  void (*attend)(Link *);
  // Submits `count` jobs at once; returns when all are acknowledged.
  void (*submit)(Link *, long count);
  // Takes up to `most` jobs; waits a moment when there is none. Returns how many.
  int (*take)(Link *, Identity *ids, int most);
  // Ends jobs; returns when that is acknowledged. `tell`: the submitter waits for it.
  void (*finish)(Link *, Identity *ids, int count, int tell);
  // The submitter waits until it is told of one job's end.
  void (*hear)(Link *);
} Broker;

extern const Broker redis_broker, beanstalk_broker;

// What every job carries.
enum { BODY = 100 };
extern char job_body[BODY + 1];

void fail(const char *what);
Link *link_open(int port);
void link_send(Link *, const char *bytes, size_t count);
// The next line without its end; no longer than `room`.
void link_line(Link *, char *line, size_t room);
void link_skip(Link *, size_t count);
