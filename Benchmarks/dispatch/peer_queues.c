// Drives beanstalkd and Redis streams as the dispatch benchmark drives aitbc: jobs of 100 bytes that do nothing.
//
//   peer_queues redis|beanstalkd PORT flow JOBS BATCH   prints jobs per second: first submit until the last end
//   peer_queues redis|beanstalkd PORT one JOBS          prints p50 and p99 in milliseconds: one job at a time, from its
//                                                       submit until the submitter is told of its end
//
// Two workers take up to 50 jobs at a time. Nothing is acknowledged before the broker says so.

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker.h"

enum { WORKERS = 2, MOST = 50 };

static const Broker *broker;
static int port, tell;
static long jobs;
static atomic_long ended;
static pthread_barrier_t ready;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void *work(void *unused) {
  Link *link = link_open(port);
  Identity ids[MOST];
  broker->attend(link);
  pthread_barrier_wait(&ready);
  while (atomic_load(&ended) < jobs) {
    int count = broker->take(link, ids, tell ? 1 : MOST);
    if (count == 0) continue;
    broker->finish(link, ids, count, tell);
    atomic_fetch_add(&ended, count);
  }
  return unused;
}

static int compare(const void *left, const void *right) {
  double difference = *(const double *)left - *(const double *)right;
  return (difference > 0) - (difference < 0);
}

static void flow(Link *link, long batch) {
  double begin = now();
  for (long sent = 0; sent < jobs; sent += batch) broker->submit(link, jobs - sent < batch ? jobs - sent : batch);
  struct timespec moment = {0, 200000};
  while (atomic_load(&ended) < jobs) nanosleep(&moment, NULL);
  printf("%.1f\n", (double)jobs / (now() - begin));
}

static void one(Link *link) {
  double *times = calloc((size_t)jobs, sizeof *times);
  if (!times) fail("memory");
  for (long index = 0; index < jobs; index++) {
    double begin = now();
    broker->submit(link, 1);
    broker->hear(link);
    times[index] = (now() - begin) * 1000;
  }
  qsort(times, (size_t)jobs, sizeof *times, compare);
  printf("%.3f %.3f\n", times[jobs / 2], times[(jobs * 99 + 99) / 100 - 1]);
}

int main(int count, char **words) {
  if (count < 5) {
    fprintf(stderr, "usage: peer_queues redis|beanstalkd PORT flow JOBS BATCH | one JOBS\n");
    return 2;
  }
  broker = strcmp(words[1], "redis") == 0 ? &redis_broker : &beanstalk_broker;
  port = atoi(words[2]);
  tell = strcmp(words[3], "one") == 0;
  jobs = atol(words[4]);
  memset(job_body, 'x', BODY);
  Link *link = link_open(port);
  broker->prepare(link);
  int workers = tell ? 1 : WORKERS;
  pthread_t threads[WORKERS];
  pthread_barrier_init(&ready, NULL, (unsigned)workers + 1);
  for (int index = 0; index < workers; index++) pthread_create(&threads[index], NULL, work, NULL);
  pthread_barrier_wait(&ready);
  if (tell) one(link);
  else flow(link, count > 5 ? atol(words[5]) : 100);
  for (int index = 0; index < workers; index++) pthread_join(threads[index], NULL);
  return 0;
}
