/* In the place of cloudflared: it is as strict about what it is given as the real one is lenient, opens one WebSocket to
   the proxy as cloudflared does, tells systemd that it is connected, and stays until SIGTERM. */
#include <arpa/inet.h>
#include <netdb.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int dial(const char *host, const char *port) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found, *each;
    if (getaddrinfo(host, port, &hints, &found) != 0) fail("getaddrinfo");
    /* cloudflared dials for each request anew, and so outlives the moment until the proxy listens. */
    for (int attempt = 0; attempt < 1000; attempt++, usleep(10000))
        for (each = found; each; each = each->ai_next) {
            int descriptor = socket(each->ai_family, each->ai_socktype, 0);
            if (descriptor < 0) continue;
            if (connect(descriptor, each->ai_addr, each->ai_addrlen) == 0) return descriptor;
            close(descriptor);
        }
    fail("connect");
    return -1;
}

static void notify(const char *message) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = getenv("NOTIFY_SOCKET");
    int descriptor = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (!path || descriptor < 0) fail("NOTIFY_SOCKET");
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    if (address.sun_path[0] == '@') address.sun_path[0] = 0;
    if (connect(descriptor, (struct sockaddr *)&address, offsetof(struct sockaddr_un, sun_path) + strlen(path)) < 0 ||
        write(descriptor, message, strlen(message)) < 0)
        fail("notify");
}

int main(int count, char **given) {
    static const char *expected[] = {"tunnel", "--no-autoupdate", "run", "--url", "http://localhost:8080"};
    if (count != 6) return fprintf(stderr, "%d arguments\n", count - 1), 2;
    for (int i = 0; i < 5; i++)
        if (strcmp(given[i + 1], expected[i])) return fprintf(stderr, "unexpected %s\n", given[i + 1]), 2;

    char token[8192], answer[4096];
    const char *path = getenv("TUNNEL_TOKEN_FILE");
    FILE *file = path ? fopen(path, "r") : NULL;
    if (!file) fail("TUNNEL_TOKEN_FILE");
    if (!fgets(token, sizeof token, file) || strncmp(token, "eyJ", 3)) return fputs("not a token\n", stderr), 1;
    static const char *others[] = {"tls.key", "ca.key", "tls.crt", "tunnel-token"};
    for (int i = 0; i < 4; i++) {
        char name[64];
        snprintf(name, sizeof name, "/var/lib/mcp-tunnel/%s", others[i]);
        if (access(name, R_OK) == 0) return fprintf(stderr, "%s can be read\n", name), 1;
    }

    int proxy = dial("localhost", "8080");
    static const char request[] = "GET / HTTP/1.1\r\nHost: echo.t.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    if (write(proxy, request, sizeof request - 1) < 0) fail("write");
    ssize_t length = read(proxy, answer, sizeof answer - 1);
    if (length < 12 || strncmp(answer, "HTTP/1.1 101", 12)) return fputs("the proxy does not upgrade\n", stderr), 1;

    sigset_t set;
    int number;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    puts("Registered tunnel connection");
    fflush(stdout);
    notify("READY=1");
    sigwait(&set, &number);
    return 0;
}
