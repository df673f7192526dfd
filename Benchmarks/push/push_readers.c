// The load of the push benchmark: opens many WebSocket connections to 127.0.0.1, counts what arrives, and prints one
// JSON object. Messages that hold "t":<ns of CLOCK_MONOTONIC> give delays; "seq":<n> must rise by one on each connection.
#include <dirent.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "readers.h"

Options options = {.path = "/", .time_key = "\"t\":", .port = 9001, .readers = 100, .inflight = 128, .warm = 1, .seconds = 5, .limit = 60};
Totals totals;

static const char usage[] =
    "push_readers --port P [--path /] -n READERS [--sources K] [--header 'H: v']... [--deflate] [--inflight K]\n"
    "             [--limit S] [--idle S] [--warm S] [--seconds S] [--server PID]\n"
    "             [--paused K] [--receive-buffer B] [--resume K] [--settle S] [--obey] [--time-key KEY]\n"
    "  --sources K   connect from 127.0.0.2 to 127.0.0.(1+K)      --limit S  for opening all\n"
    "  --idle S      hold them open, then read the server's memory --server   whose CPU time and memory are told\n"
    "  --paused K    the first K never read while it is measured    --resume K the first K come back, with ?after=\n"
    "  --settle S    afterwards all read, until all have the same   --obey     then wait for a line `until SEQ`\n";

typedef struct {
  double cpu;
  long resident_kib;
} Usage;

// The time that a process's threads have run, to the nanosecond; utime and stime count in ticks of 10 ms.
static double cpu_of(int process) {
  char path[320];
  snprintf(path, sizeof path, "/proc/%d/task", process);
  DIR *tasks = opendir(path);
  double total = 0;
  if (!tasks) return 0;
  for (struct dirent *task; (task = readdir(tasks));) {
    unsigned long long ran = 0;
    if (task->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", process, task->d_name);
    FILE *file = fopen(path, "r");
    if (!file) continue;
    if (fscanf(file, "%llu", &ran) == 1) total += (double)ran / 1e9;
    fclose(file);
  }
  closedir(tasks);
  return total;
}

static Usage usage_of(int process) {
  Usage usage = {0, 0};
  char path[64];
  if (process <= 0) return usage;
  usage.cpu = cpu_of(process);
  snprintf(path, sizeof path, "/proc/%d/statm", process);
  FILE *file = fopen(path, "r");
  if (file && fscanf(file, "%*d %ld", &usage.resident_kib) == 1) usage.resident_kib *= sysconf(_SC_PAGESIZE) / 1024;
  if (file) fclose(file);
  return usage;
}

static double own_cpu(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double since(uint64_t start) { return (double)(now_ns() - start) / 1e9; }

static void run_for(double seconds) {
  for (uint64_t start = now_ns(); since(start) < seconds;) step(20);
}

static int all_have(uint64_t sequence) {
  for (int index = 0; index < options.readers; index++)
    if (reader_at(index)->stage != OPEN || reader_at(index)->last < sequence) return 0;
  return 1;
}

// Of those that are open.
static void ends(uint64_t *lowest, uint64_t *highest) {
  *lowest = ~0ull;
  *highest = 0;
  for (int index = 0; index < options.readers; index++) {
    if (reader_at(index)->stage != OPEN) continue;
    uint64_t last = reader_at(index)->last;
    if (last < *lowest) *lowest = last;
    if (last > *highest) *highest = last;
  }
}

// All read from here on, until those that come back are open and all open ones have the same; seconds that took.
static double settle(void) {
  uint64_t start = now_ns(), lowest, highest, before = 0;
  for (int index = 0; index < options.readers; index++) {
    Reader *reader = reader_at(index);
    if (!reader->paused) continue;
    reader->paused = 0;
    if (reader->stage == OPEN) watch(reader, 1);
  }
  while (since(start) < options.settle) {
    run_for(0.5);
    int missing = 0;
    for (int index = 0; index < options.resume; index++) missing += reader_at(index)->stage != OPEN;
    ends(&lowest, &highest);
    if (!missing && highest && lowest == highest && highest == before) break;
    before = highest;
  }
  return since(start);
}

// Waits for `until SEQ` on standard input, and then until every reader has that.
static int obey(double *down, double *back) {
  char line[64];
  size_t length = 0;
  uint64_t lost_at = 0, until = 0, start = now_ns();
  fcntl(0, F_SETFL, O_NONBLOCK);
  puts("open");
  fflush(stdout);
  while (!until || !all_have(until)) {
    step(20);
    if (!lost_at && totals.lost) lost_at = now_ns();
    if (lost_at && !*down && totals.open == 0) *down = since(lost_at);
    if (lost_at && !*back && totals.lost >= (uint64_t)options.readers && totals.open == (uint64_t)options.readers) *back = since(lost_at);
    if (since(start) > options.settle) return -1;
    ssize_t got = until ? 0 : read(0, line + length, sizeof line - 1 - length);
    if (got <= 0) continue;
    length += (size_t)got;
    line[length] = 0;
    unsigned long long sequence;
    if (strchr(line, '\n') && sscanf(line, "until %llu", &sequence) == 1) until = sequence;
  }
  run_for(0.5);  // what comes twice comes now
  return 0;
}

static void parse(int count, char **words) {
  static const struct option known[] = {
      {"port", 1, 0, 'p'},     {"path", 1, 0, 'P'},     {"sources", 1, 0, 's'}, {"header", 1, 0, 'h'}, {"deflate", 0, 0, 'z'},
      {"inflight", 1, 0, 'i'}, {"limit", 1, 0, 'l'},    {"idle", 1, 0, 'I'},    {"warm", 1, 0, 'w'},   {"seconds", 1, 0, 'd'},
      {"server", 1, 0, 'x'},   {"paused", 1, 0, 'u'},   {"receive-buffer", 1, 0, 'r'}, {"resume", 1, 0, 'R'}, {"settle", 1, 0, 'S'},
      {"obey", 0, 0, 'o'},     {"time-key", 1, 0, 'k'}, {0}};
  for (int option; (option = getopt_long(count, words, "n:", known, 0)) != -1;) switch (option) {
      case 'p': options.port = atoi(optarg); break;
      case 'P': options.path = optarg; break;
      case 'n': options.readers = atoi(optarg); break;
      case 's': options.sources = atoi(optarg); break;
      case 'h': if (options.header_count < MOST_HEADERS) options.headers[options.header_count++] = optarg; break;
      case 'z': options.deflate = 1; break;
      case 'i': options.inflight = atoi(optarg); break;
      case 'l': options.limit = atof(optarg); break;
      case 'I': options.idle = atof(optarg); break;
      case 'w': options.warm = atof(optarg); break;
      case 'd': options.seconds = atof(optarg); break;
      case 'x': options.server = atoi(optarg); break;
      case 'u': options.paused = atoi(optarg); break;
      case 'r': options.receive_buffer = atoi(optarg); break;
      case 'R': options.resume = atoi(optarg); break;
      case 'k': options.time_key = optarg; break;
      case 'S': options.settle = atof(optarg); break;
      case 'o': options.obeys = 1; break;
      default: fputs(usage, stderr); exit(2);
    }
  if (options.readers < 1 || optind != count) {
    fputs(usage, stderr);
    exit(2);
  }
}

int main(int count, char **words) {
  parse(count, words);
  signal(SIGPIPE, SIG_IGN);
  prepare();
  Usage before = usage_of(options.server);
  uint64_t start = now_ns();
  while (totals.open + totals.refused + totals.lost < (uint64_t)options.readers && since(start) < options.limit) step(100);
  double opening = since(start);
  Usage opened = usage_of(options.server);
  uint64_t connected = totals.open;
  run_for(options.idle);
  Usage idle = usage_of(options.server);
  double down = 0, back = 0, settling = 0;
  int failed = options.obeys ? obey(&down, &back) : 0;
  if (!options.obeys) run_for(options.warm);
  Usage first = usage_of(options.server);
  double own = own_cpu();
  uint64_t begin = now_ns();
  totals.measuring = 1;
  if (!options.obeys) run_for(options.seconds);
  totals.measuring = 0;
  double wall = since(begin);
  own = own_cpu() - own;
  Usage last = usage_of(options.server);
  uint64_t open_at_end = totals.open;
  if (options.settle > 0 && !options.obeys) settling = settle();
  uint64_t lowest, highest;
  ends(&lowest, &highest);
  double cpu = last.cpu - first.cpu;
  printf("{\"connected\":%lu,\"refused\":%lu,\"lost\":%lu,\"slow\":%lu,\"dropped\":%lu,\"opening_s\":%.3f,\"opening_cpu_s\":%.2f,\"handshake_p99_us\":%.0f,", connected,
         totals.refused, totals.lost, totals.slow, totals.dropped, opening, opened.cpu - before.cpu, quantile_us(&totals.connects, .99));
  printf("\"wall_s\":%.3f,\"messages\":%lu,\"messages_per_s\":%.0f,\"mb_per_s\":%.2f,\"p50_us\":%.1f,\"p90_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"highest_us\":%.1f,", wall,
         totals.messages, (double)totals.messages / wall, (double)totals.payload / wall / 1e6, quantile_us(&totals.delays, .5),
         quantile_us(&totals.delays, .9), quantile_us(&totals.delays, .99), quantile_us(&totals.delays, .999), (double)totals.delays.highest / 1e3);
  printf("\"gaps\":%lu,\"repeats\":%lu,\"faults\":%lu,\"resets\":%lu,\"reopened\":%lu,\"lowest_seq\":%lu,\"highest_seq\":%lu,\"open_at_end\":%lu,\"settling_s\":%.1f,\"down_s\":%.2f,\"back_s\":%.2f,",
         totals.gaps, totals.repeats, totals.faults, totals.resets, totals.reopened, lowest, highest, open_at_end, settling, down, back);
  printf("\"client_cpu_s\":%.2f,\"server_cpu_s\":%.2f,\"messages_per_cpu_s\":%.0f,\"resident_kib\":%ld,\"resident_idle_kib\":%ld,\"resident_end_kib\":%ld,\"bytes_per_connection\":%.0f,\"first_fault\":\"%s\"}\n",
         own, cpu, cpu > 0 ? (double)totals.messages / cpu : 0, before.resident_kib, idle.resident_kib, last.resident_kib,
         connected ? (double)(idle.resident_kib - before.resident_kib) * 1024 / (double)connected : 0, totals.first_fault);
  return failed || connected != (uint64_t)options.readers ? 1 : 0;
}
