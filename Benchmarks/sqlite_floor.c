// The limit that durable submits are measured against: SQLite alone, one small row per INSERT, GROUP rows per COMMIT,
// WAL with synchronous=FULL, one prepared statement, no index, nothing else.
//
//   sqlite_floor FILE ROWS GROUP     prints rows per second. FILE must not exist.
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static sqlite3 *database;

static void check(int code, const char *what) {
  if (code == SQLITE_OK || code == SQLITE_DONE || code == SQLITE_ROW) return;
  fprintf(stderr, "sqlite_floor: %s: %s\n", what, sqlite3_errmsg(database));
  exit(1);
}

static void run(const char *sql) { check(sqlite3_exec(database, sql, NULL, NULL, NULL), sql); }

// Reads a setting back: a limit measured without its fsync would be none.
static void expect(const char *sql, const char *value) {
  sqlite3_stmt *statement;
  check(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), sql);
  check(sqlite3_step(statement), sql);
  if (strcmp((const char *)sqlite3_column_text(statement, 0), value) != 0) {
    fprintf(stderr, "sqlite_floor: %s is not %s\n", sql, value);
    exit(1);
  }
  sqlite3_finalize(statement);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int count, char **words) {
  long rows = count == 4 ? atol(words[2]) : 0, group = count == 4 ? atol(words[3]) : 0;
  if (rows < 1 || group < 1 || access(words[1], F_OK) == 0) {
    fprintf(stderr, "usage: sqlite_floor NEW-FILE ROWS GROUP\n");
    return 2;
  }
  check(sqlite3_open(words[1], &database), words[1]);
  run("PRAGMA journal_mode = WAL");
  run("PRAGMA synchronous = FULL");
  run("PRAGMA wal_autocheckpoint = 4096");
  expect("PRAGMA journal_mode", "wal");
  expect("PRAGMA synchronous", "2");
  run("CREATE TABLE jobs (key INTEGER PRIMARY KEY, id TEXT NOT NULL, state INTEGER NOT NULL, body TEXT NOT NULL)"
      " STRICT");

  sqlite3_stmt *insert;
  static const char sql[] = "INSERT INTO jobs (id, state, body) VALUES (?, 0, ?)";
  check(sqlite3_prepare_v2(database, sql, -1, &insert, NULL), sql);
  static const char body[] = "{\"payload\":{\"type\":\"noop\"},\"priority\":\"normal\",\"ttl_seconds\":900}";
  double start = now();
  for (long row = 0; row < rows; row++) {
    if (row % group == 0) run("BEGIN IMMEDIATE");
    char id[40];
    snprintf(id, sizeof id, "job_%026ld", row);
    check(sqlite3_bind_text(insert, 1, id, -1, SQLITE_TRANSIENT), "bind");
    check(sqlite3_bind_text(insert, 2, body, sizeof body - 1, SQLITE_STATIC), "bind");
    check(sqlite3_step(insert), "insert");
    check(sqlite3_reset(insert), "reset");
    if (row % group == group - 1 || row == rows - 1) run("COMMIT");
  }
  double seconds = now() - start;
  sqlite3_finalize(insert);
  sqlite3_close(database);
  printf("%.1f\n", (double)rows / seconds);
  return 0;
}
