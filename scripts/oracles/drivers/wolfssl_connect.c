/* Judge live servers on 127.0.0.1 with wolfSSL: no call of the library takes a list as it was sent. Its clock is the system's: faketime(1).
 *
 *   wolfssl_connect < cases.tsv > results.jsonl
 *
 * stdin and stdout as for openssl_verify; "load" is what loading the store returned (1: all of it).
 */
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static int dial(const char *port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(port))};
  struct timeval patience = {8, 0};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
    fprintf(stderr, "wolfssl_connect: nobody listens on port %s\n", port);
    exit(2);
  }
  return fd;
}

int main(void) {
  static char line[16384];
  wolfSSL_Init();
  while (fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "\n")] = 0;
    char *field[6] = {0}, *rest = line;
    int fields = 0;
    while (fields < 6 && (field[fields] = strsep(&rest, "\t"))) fields++;
    if (fields < 6) continue;
    WOLFSSL_CTX *ctx = wolfSSL_CTX_new(wolfSSLv23_client_method());
    wolfSSL_CTX_set_verify(ctx, WOLFSSL_VERIFY_PEER, 0);
    int load = wolfSSL_CTX_load_verify_locations(ctx, field[2], 0);
    int fd = dial(field[5]);
    WOLFSSL *ssl = wolfSSL_new(ctx);
    wolfSSL_set_fd(ssl, fd);
    wolfSSL_check_domain_name(ssl, field[3]);
    int shaken = wolfSSL_connect(ssl) == WOLFSSL_SUCCESS, code = shaken ? 0 : wolfSSL_get_error(ssl, -1);
    char words[WOLFSSL_MAX_ERROR_SZ] = "";
    if (!shaken) wolfSSL_ERR_error_string((unsigned long)code, words);
    for (char *c = words; *c; c++)
      if (*c == '"' || *c == '\\') *c = '\'';
    printf("{\"case\":\"%s\",\"version\":\"wolfSSL %s\",\"verdict\":\"%s\",\"code\":%d,\"text\":\"%s\",\"load\":%d}\n", field[0],
           wolfSSL_lib_version(), shaken ? "accept" : "refuse", code, words, load);
    fflush(stdout);
    wolfSSL_free(ssl);
    wolfSSL_CTX_free(ctx);
    close(fd);
  }
  return 0;
}
