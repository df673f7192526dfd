/// The payload zoo: one C program with a habit per name, which is also the supervisor and launcher under test.
///
/// It is compiled by the test itself, since a test bundle has no executable of its own to become a supervisor. Every process
/// of it ends by itself after two minutes, so that even a broken supervisor leaves nothing for ever.
let zooSource = #"""
  #define _GNU_SOURCE
  #include <CSupervisor.h>
  #include <arpa/inet.h>
  #include <dirent.h>
  #include <errno.h>
  #include <fcntl.h>
  #include <net/if.h>
  #include <pthread.h>
  #include <signal.h>
  #include <stdio.h>
  #include <stdlib.h>
  #include <string.h>
  #include <sys/ptrace.h>
  #include <sys/resource.h>
  #include <sys/socket.h>
  #include <sys/stat.h>
  #include <sys/wait.h>
  #include <unistd.h>

  static void rest(void) { alarm(120); for (;;) pause(); }
  static void say(const char *text) { if (write(1, text, strlen(text)) < 0) _exit(99); }
  static pid_t child(void) { pid_t pid = fork(); if (pid < 0) _exit(98); alarm(120); return pid; }
  static void on_term_bye(int number) { (void)number; say("bye\n"); _exit(7); }
  static void *thread_rest(void *unused) { (void)unused; for (;;) pause(); return NULL; }

  // A child in a session of its own that has neither our parent nor our environment.
  static int hide(const char *self) {
    int ends[2]; char byte;
    if (pipe(ends)) return 74;
    if (child() == 0) {
      setsid();
      if (child() != 0) _exit(0);
      char number[16]; snprintf(number, sizeof number, "%d", ends[1]);
      char *arguments[] = {(char *)self, "hidden", number, NULL}, *nothing[] = {NULL};
      execve("/proc/self/exe", arguments, nothing); _exit(73);
    }
    wait(NULL);
    if (read(ends[0], &byte, 1) != 1) return 72;
    say("ready\n"); rest(); return 0;
  }
  // Takes memory until it is killed; 512 MiB at most.
  static int eat(void) {
    for (int i = 0; i < 512; i++) { char *block = malloc(1 << 20); if (!block) return 71; memset(block, i + 1, 1 << 20); }
    return 0;
  }
  static int sparse(void) {
    int fd = open("sparse", O_WRONLY | O_CREAT, 0600);
    return fd >= 0 && ftruncate(fd, 1LL << 40) == 0 && pwrite(fd, "x", 1, (1LL << 40) - 1) == 1 ? 0 : 70;
  }
  static int many_files(void) {
    char name[32];
    for (int i = 0; i < 5000; i++) { snprintf(name, sizeof name, "file%d", i); int fd = open(name, O_CREAT | O_WRONLY, 0600); if (fd < 0) return 69; close(fd); }
    return 0;
  }
  // Attaching to the one above us, or mounting something, must not work.
  static int trespass(void) {
    if (ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) == 0) { ptrace(PTRACE_DETACH, getppid(), NULL, NULL); return 68; }
    return 0;
  }

  static int double_fork(void) { if (child() == 0) { if (child() == 0) rest(); _exit(0); } wait(NULL); say("ready\n"); return 0; }
  static int daemonize(void) {
    int ends[2];
    if (pipe(ends)) return 97;
    if (child() == 0) { setsid(); if (child() == 0) { setsid(); signal(SIGTERM, SIG_IGN); close(ends[1]); rest(); } _exit(0); }
    wait(NULL); return 0;
  }
  static int ignore_term(void) { signal(SIGTERM, SIG_IGN); say("ready\n"); rest(); return 0; }
  // Each process forks the next and dies: whoever looks finds only the dead. Bounded in number.
  static int fork_chain(int sessions) {
    for (int i = 0; i < 3000; i++) { if (child() != 0) _exit(0); if (sessions) setsid(); }
    rest(); return 0;
  }
  static int fork_tree(int depth) {
    signal(SIGTERM, SIG_IGN);
    for (int i = 0; i < 2 && depth > 0; i++) if (child() == 0) return fork_tree(depth - 1);
    if (depth == 6) say("ready\n");
    rest(); return 0;
  }
  static int hold_stdout(void) { if (child() == 0) rest(); say("parent done\n"); return 0; }
  static int print_bytes(long count, const char *pattern) {
    size_t length = strlen(pattern); char block[4096];
    for (size_t i = 0; i < sizeof block; i++) block[i] = pattern[i % length];
    for (long left = count; left > 0;) {
      ssize_t n = write(1, block, left < (long)sizeof block ? (size_t)left : sizeof block);
      if (n < 0) return 96;
      left -= n;
    }
    return 0;
  }
  static int threads(void) {
    pthread_attr_t attributes; pthread_attr_init(&attributes); pthread_attr_setstacksize(&attributes, 65536);
    for (int i = 0; i < 64; i++) { pthread_t t; if (pthread_create(&t, &attributes, thread_rest, NULL)) return 95; }
    say("ready\n"); rest(); return 0;
  }
  static int zombies(void) { for (int i = 0; i < 50; i++) if (child() == 0) _exit(0); say("ready\n"); return 0; }
  static int groups(int sessions) {
    int ends[2]; char byte;
    if (pipe(ends)) return 77;
    for (int i = 0; i < 5; i++)
      if (child() == 0) {
        if (sessions) setsid(); else setpgid(0, 0);
        signal(SIGTERM, SIG_IGN); signal(SIGHUP, SIG_IGN);
        if (write(ends[1], "x", 1) != 1) return 76;
        rest();
      }
    for (int i = 0; i < 5; i++) if (read(ends[0], &byte, 1) != 1) return 75;
    say("ready\n"); rest(); return 0;
  }
  static int fill_tmp(void) {
    char path[4096]; snprintf(path, sizeof path, "%s/filler", getenv("TMPDIR"));
    int fd = open(path, O_WRONLY | O_CREAT, 0600); char block[65536]; memset(block, 'f', sizeof block);
    if (fd < 0) return 94;
    for (int i = 0; i < 256; i++) if (write(fd, block, sizeof block) != sizeof block) return 93;
    return 0;
  }
  static int list_fds(void) {
    DIR *d = opendir("/proc/self/fd"); if (!d) return 92;
    for (struct dirent *e; (e = readdir(d));) if (e->d_name[0] != '.' && atoi(e->d_name) != dirfd(d)) { say(e->d_name); say("\n"); }
    return 0;
  }
  static int deep_tree(void) {
    if (symlink("/", "root") || mkdir("closed", 0700) || mkdir("closed/inner", 0700)) return 91;
    close(open("closed/inner/file", O_CREAT | O_WRONLY, 0400)); chmod("closed/inner", 0); chmod("closed", 0);
    for (int i = 0; i < 600; i++) if (mkdir("dddddddddddddddddddddddd", 0700) || chdir("dddddddddddddddddddddddd")) return 90;
    return 0;
  }
  static int interfaces(void) {
    struct if_nameindex *list = if_nameindex(); if (!list) return 89;
    for (struct if_nameindex *i = list; i->if_index; i++) { say(i->if_name); say("\n"); }
    return 0;
  }
  static int limits(void) {
    struct rlimit l; char text[128];
    getrlimit(RLIMIT_CORE, &l); snprintf(text, sizeof text, "core %lld\n", (long long)l.rlim_max); say(text);
    getrlimit(RLIMIT_NOFILE, &l); snprintf(text, sizeof text, "files %lld\n", (long long)l.rlim_max); say(text);
    getrlimit(RLIMIT_AS, &l); snprintf(text, sizeof text, "space %lld\n", (long long)l.rlim_max); say(text);
    snprintf(text, sizeof text, "nice %d\n", getpriority(PRIO_PROCESS, 0)); say(text); return 0;
  }
  static int signals(void) {
    sigset_t mask; sigprocmask(SIG_SETMASK, NULL, &mask);
    for (int i = 1; i < 32; i++) { struct sigaction a; sigaction(i, NULL, &a); if (a.sa_handler == SIG_IGN || sigismember(&mask, i)) return 88; }
    return 0;
  }
  // A miner of its own, to be killed with 9: it starts a supervisor whose payload has children, says so, and waits.
  static int miner(const char *self) {
    int out[2], status[2], control[2]; char line[512], bytes[8192]; size_t n = 0; pid_t pid;
    if (aitbc_pipe(out) || aitbc_pipe(status) || aitbc_socket_pair(control)) return 87;
    const char *parts[] = {"aitbc-supervise/1", NULL, "atree", NULL, "d/", "."};
    char program[4096], marker[256];
    snprintf(program, sizeof program, "a%s", self); parts[1] = program;
    snprintf(marker, sizeof marker, "eAITBC_PROCESS_MARKER=%s", getenv("AITBC_PROCESS_MARKER")); parts[3] = marker;
    for (int i = 0; i < 6; i++) { size_t l = strlen(parts[i]) + 1; memcpy(bytes + n, parts[i], l); n += l; }
    int memory = aitbc_sealed_memory("zoo", bytes, n), null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int fds[6] = {null, out[1], null, memory, control[1], status[1]};
    if (memory < 0 || aitbc_spawn_supervisor("/proc/self/exe", "zoo-miner", fds, &pid)) return 86;
    close(out[1]); close(status[1]); close(control[1]);
    if (read(out[0], line, sizeof line) <= 0) return 85;
    snprintf(line, sizeof line, "ready %d\n", pid); say(line); rest(); return 0;
  }
  // Tells the test which pipes a supervisor got, by writing their names to the file that its label names.
  static void tell_pipes(const char *path) {
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600); char link[64], target[256];
    for (int fd = 1; file >= 0 && fd <= 5; fd++) {
      snprintf(link, sizeof link, "/proc/self/fd/%d", fd); ssize_t n = readlink(link, target, sizeof target - 1);
      if (n > 0) { target[n] = '\n'; if (write(file, target, (size_t)n + 1) < 0) _exit(84); }
    }
    close(file);
  }

  int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], AITBC_SUPERVISE) == 0 && argv[2][0] == '/') tell_pipes(argv[2]);
    int code = aitbc_hidden_command(argc, argv);
    if (code >= 0) return code;
    const char *what = argc > 1 ? argv[1] : "";
    #define IS(name) (strcmp(what, name) == 0)
    if (IS("exit")) return atoi(argv[2]);
    if (IS("raise")) { raise(atoi(argv[2])); return 83; }
    if (IS("abort-group")) { say("ready\n"); kill(0, SIGTERM); rest(); }
    if (IS("kill-parent")) { say("ready\n"); if (child() == 0) rest(); kill(getppid(), SIGKILL); rest(); }
    if (IS("double-fork")) return double_fork();
    if (IS("daemon")) return daemonize();
    if (IS("ignore-term")) return ignore_term();
    if (IS("chain")) return fork_chain(0);
    if (IS("session-chain")) return fork_chain(1);
    if (IS("tree")) return fork_tree(6);
    if (IS("hold-stdout")) return hold_stdout();
    if (IS("close-output")) { close(1); close(2); return 3; }
    if (IS("print")) return print_bytes(atol(argv[2]), argv[3]);
    if (IS("invalid-utf8")) { say("\xff\xfe\xc3(\x80 end"); return 0; }
    if (IS("remove-cwd")) { char path[4096]; return getcwd(path, sizeof path) && rmdir(path) == 0 ? 0 : 82; }
    if (IS("threads")) return threads();
    if (IS("deaf-thread")) { pthread_t t; signal(SIGTERM, SIG_IGN); pthread_create(&t, NULL, thread_rest, NULL); say("ready\n"); pthread_exit(NULL); }
    if (IS("thread-exit")) { pthread_t t; pthread_create(&t, NULL, thread_rest, NULL); pthread_exit(NULL); }
    if (IS("zombies")) return zombies();
    if (IS("stop")) { say("ready\n"); raise(SIGSTOP); rest(); }
    if (IS("groups")) return groups(0);
    if (IS("sessions")) return groups(1);
    if (IS("sleep")) { say("ready\n"); rest(); }
    if (IS("spin")) { say("ready\n"); alarm(120); for (;;) {} }
    if (IS("bye")) { signal(SIGTERM, on_term_bye); say("ready\n"); rest(); }
    if (IS("child-bye")) { if (child() == 0) { signal(SIGTERM, on_term_bye); say("ready\n"); rest(); } rest(); }
    if (IS("fill-tmp")) return fill_tmp();
    if (IS("environment")) { for (char **e = environ; *e; e++) { say(*e); say("\n"); } return 0; }
    if (IS("stdin")) { char byte; return read(0, &byte, 1) == 0 ? 0 : 81; }
    if (IS("descriptors")) return list_fds();
    if (IS("deep-tree")) return deep_tree();
    if (IS("interfaces")) return interfaces();
    if (IS("can-read")) return open(argv[2], O_RDONLY) >= 0 ? 0 : 80;
    if (IS("can-write")) return open(argv[2], O_WRONLY | O_CREAT, 0600) >= 0 ? 0 : 80;
    if (IS("processes")) { DIR *d = opendir("/proc"); int n = 0; for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] >= '1' && e->d_name[0] <= '9'; return n; }
    if (IS("limits")) return limits();
    if (IS("signals")) return signals();
    if (IS("big-file")) { int fd = open("big", O_WRONLY | O_CREAT, 0600); char b[4096] = {0}; for (int i = 0; i < 1000; i++) if (write(fd, b, sizeof b) < 0) return 79; return 0; }
    if (IS("hide")) return hide(argv[0]);
    if (IS("hidden")) { if (write(atoi(argv[2]), "x", 1) != 1) return 67; rest(); }
    if (IS("eat")) return eat();
    if (IS("sparse")) return sparse();
    if (IS("many-files")) return many_files();
    if (IS("trespass")) return trespass();
    if (IS("miner")) return miner(argv[0]);
    return 78;
  }
  """#
