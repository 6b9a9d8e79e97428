/* Judge certificate lists with Mbed TLS: mbedtls_x509_crt_verify_with_profile and its default profile, which is what the TLS layer calls;
 * the layer's own look at key usage and purpose of the leaf is not part of the call.
 * The library reads the clock itself, so this program has a clock of its own: the instant of the case.
 *
 *   mbedtls_verify < cases.tsv > results.jsonl
 *
 * stdin and stdout as for openssl_verify; "code" is the flag word, "unread" how many certificates of chain and store did not parse.
 */
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#if MBEDTLS_VERSION_MAJOR >= 3
#include <psa/crypto.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static time_t judged_at;

/* mbedtls_time() is time() in distributions' builds, and a program's own definition comes before that of libc. */
time_t time(time_t *t) {
  time_t now = judged_at;
  if (!now) {
    struct timespec clock;
    clock_gettime(CLOCK_REALTIME, &clock);
    now = clock.tv_sec;
  }
  if (t) *t = now;
  return now;
}

int main(void) {
  static char line[16384];
  char version[64], words[2048];
  mbedtls_version_get_string_full(version);
#if MBEDTLS_VERSION_MAJOR >= 3
  if (psa_crypto_init() != PSA_SUCCESS) return 2;
#endif
  while (fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "\n")] = 0;
    char *id = strtok(line, "\t"), *chain_file = strtok(0, "\t"), *store_file = strtok(0, "\t"), *host = strtok(0, "\t"),
         *when = strtok(0, "\t");
    if (!when) continue;
    judged_at = (time_t)atoll(when);
    mbedtls_x509_crt chain, store;
    mbedtls_x509_crt_init(&chain);
    mbedtls_x509_crt_init(&store);
    int unread_sent = mbedtls_x509_crt_parse_file(&chain, chain_file);
    int unread_stored = mbedtls_x509_crt_parse_file(&store, store_file);
    uint32_t flags = 0;
    int result = mbedtls_x509_crt_verify_with_profile(&chain, &store, NULL, &mbedtls_x509_crt_profile_default,
                                                      strcmp(host, "-") ? host : NULL, &flags, NULL, NULL);
    words[0] = 0;
    mbedtls_x509_crt_verify_info(words, sizeof words, "", flags);
    for (char *c = words; *c; c++) {
      if (*c == '\n') *c = ';';
      if (*c == '"' || *c == '\\') *c = '\'';
    }
    printf("{\"case\":\"%s\",\"version\":\"%s\",\"verdict\":\"%s\",\"code\":%lu,\"text\":\"%s\",\"unread\":[%d,%d]}\n", id, version,
           result == 0 ? "accept" : "refuse", (unsigned long)flags, words, unread_sent, unread_stored);
    fflush(stdout);
    mbedtls_x509_crt_free(&chain);
    mbedtls_x509_crt_free(&store);
  }
  return 0;
}
