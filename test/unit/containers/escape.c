/* Tries what a hostile image would try, prints one line per attempt, then serves 200 on $PORT. Built with -static. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void told(const char *what, long result) {
  if (result >= 0) printf("%s: DONE\n", what);
  else printf("%s: %s\n", what, strerror(errno));
  fflush(stdout);
}

static long writes(const char *path, int flags) {
  int f = open(path, flags, 0600);
  if (f < 0) return -1;
  long n = write(f, "1", 1);
  int e = errno;
  close(f);
  errno = e;
  return n;
}

static long reaches(const char *ip, int port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, ip, &to.sin_addr);
  int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (s < 0) return -1;
  if (connect(s, (struct sockaddr *)&to, sizeof to) == 0) return 0;
  if (errno != EINPROGRESS) return -1;
  struct pollfd p = {.fd = s, .events = POLLOUT};
  if (poll(&p, 1, 2000) < 1) { errno = ETIMEDOUT; return -1; }
  int e = 0; socklen_t l = sizeof e;
  getsockopt(s, SOL_SOCKET, SO_ERROR, &e, &l);
  errno = e;
  close(s);
  return e == 0 ? 0 : -1;
}

static long unix_reaches(const char *path) {
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  strncpy(to.sun_path, path, sizeof to.sun_path - 1);
  int s = socket(AF_UNIX, SOCK_STREAM, 0);
  return s < 0 ? -1 : connect(s, (struct sockaddr *)&to, sizeof to);
}

static void status(const char *field) {
  char line[512];
  FILE *f = fopen("/proc/self/status", "r");
  while (f && fgets(line, sizeof line, f)) if (strncmp(line, field, strlen(field)) == 0) printf("%s", line);
  if (f) fclose(f);
}

int main(void) {
  /* Outside a container these attempts would succeed. */
  if (getuid() != 65534 || access("/bin/sh", F_OK) == 0) {
    fprintf(stderr, "this is for the inside of a container only\n");
    return 1;
  }
  printf("uid: %d gid: %d\n", getuid(), getgid());
  status("CapEff"); status("CapBnd"); status("NoNewPrivs"); status("Seccomp:");
  told("write /", writes("/x", O_CREAT | O_WRONLY));
  told("write /tmp", writes("/tmp/x", O_CREAT | O_WRONLY));
  told("write /cache", writes("/cache/x", O_CREAT | O_WRONLY));
  told("remount /", mount("none", "/", NULL, MS_REMOUNT, NULL));
  told("mount tmpfs", mount("none", "/tmp", "tmpfs", 0, NULL));
  told("new mount namespace", unshare(CLONE_NEWNS));
  told("join namespace of pid 1", syscall(SYS_setns, open("/proc/1/ns/mnt", O_RDONLY), 0));
  if (fork() == 0) { told("new user namespace", unshare(CLONE_NEWUSER)); _exit(0); }
  wait(NULL);
  told("setuid 0", setuid(0));
  told("chroot", chroot("/tmp"));
  told("mknod sda", mknod("/tmp/sda", S_IFBLK | 0600, makedev(8, 0)));
  told("kill -1", kill(-1, 0) == 0 ? 0 : -1);
  told("raw socket", socket(AF_INET, SOCK_RAW, 1));
  told("packet socket", socket(AF_PACKET, SOCK_RAW, 0));
  told("write /proc/sys/kernel/hostname", writes("/proc/sys/kernel/hostname", O_WRONLY));
  told("write /proc/sys/vm/overcommit_memory", writes("/proc/sys/vm/overcommit_memory", O_WRONLY));
  told("write /proc/sysrq-trigger", writes("/proc/sysrq-trigger", O_WRONLY));
  told("read /proc/kcore", open("/proc/kcore", O_RDONLY));
  told("write /sys", writes("/sys/kernel/mm/ksm/run", O_WRONLY));
  told("write cgroup", mkdir("/sys/fs/cgroup/x", 0700));
  told("docker.sock", unix_reaches("/var/run/docker.sock"));
  told("podman.sock", unix_reaches("/run/podman/podman.sock"));
  told("relay socket", unix_reaches("/s/in"));
  told("connect 169.254.169.254:80", reaches("169.254.169.254", 80));
  told("connect 1.1.1.1:443", reaches("1.1.1.1", 443));
  told("connect 10.0.0.1:22", reaches("10.0.0.1", 22));
  const char *host_port = getenv("HOST_PORT");
  if (host_port) told("connect a port of the machine", reaches("127.0.0.1", atoi(host_port)));
  told("load kernel module", syscall(SYS_init_module, "", 0, ""));
  told("bpf", syscall(SYS_bpf, 0, NULL, 0));
  told("keyctl", syscall(SYS_keyctl, 0, -3, 0));
  told("userfaultfd", syscall(SYS_userfaultfd, 0));
  const char *bomb = getenv("BOMB");
  if (bomb) {
    long children = 0;
    for (; children < 100000; children++) { pid_t p = fork(); if (p < 0) break; if (p == 0) { pause(); _exit(0); } }
    printf("fork bomb: stopped after %ld by %s\n", children, strerror(errno));
    fflush(stdout);
    signal(SIGTERM, SIG_IGN); kill(0, SIGTERM); signal(SIGTERM, SIG_DFL);
    while (waitpid(-1, NULL, WNOHANG) > 0) ;
  }
  const char *eat = getenv("EAT");
  if (eat) { for (;;) { char *m = malloc(1 << 20); if (!m) break; memset(m, 1, 1 << 20); } }
  const char *proxy = getenv("HTTP_PROXY");
  if (proxy) told("connect the proxy", reaches("127.0.0.1", 3128));
  int s = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(getenv("PORT"))), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(s, (struct sockaddr *)&at, sizeof at) != 0 || listen(s, 16) != 0) { perror("listen"); return 1; }
  printf("serving\n");
  fflush(stdout);
  for (;;) {
    int c = accept(s, NULL, NULL);
    char b[4096];
    if (read(c, b, sizeof b) > 0) { const char *r = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"; write(c, r, strlen(r)); }
    close(c);
  }
}
