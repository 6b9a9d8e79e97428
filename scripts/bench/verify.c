/* X509_verify_cert on one chain, timed: `verify AT HOST CHAIN STORE...` prints the median of RUNS in nanoseconds, and whether it accepts.
   Chain and store are parsed once, keys and extensions included; each run is a new X509_STORE_CTX, as each handshake has its own. */
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { RUNS = 2000 };

static int compare(const void *a, const void *b)
{
    long long x = *(const long long *)a, y = *(const long long *)b;
    return (x > y) - (x < y);
}

static STACK_OF(X509) *load(const char *path)
{
    STACK_OF(X509) *list = sk_X509_new_null();
    FILE *file = fopen(path, "r");
    X509 *x;

    if (file == NULL) {
        perror(path);
        exit(2);
    }
    while ((x = PEM_read_X509(file, NULL, NULL, NULL)) != NULL) {
        X509_check_purpose(x, -1, 0);
        X509_get0_pubkey(x);
        sk_X509_push(list, x);
    }
    fclose(file);
    return list;
}

int main(int argc, char **argv)
{
    static long long took[RUNS];
    X509_STORE *store = X509_STORE_new();
    STACK_OF(X509) *chain;
    int accepted = 0, anchors = 0;

    if (argc < 5) {
        fprintf(stderr, "usage: verify AT HOST CHAIN STORE...\n");
        return 2;
    }
    for (int i = 4; i < argc; i++) {
        STACK_OF(X509) *list = load(argv[i]);
        for (int j = 0; j < sk_X509_num(list); j++)
            anchors += X509_STORE_add_cert(store, sk_X509_value(list, j));
    }
    chain = load(argv[3]);
    if (sk_X509_num(chain) == 0 || anchors == 0) {
        fprintf(stderr, "a chain or a store is empty\n");
        return 2;
    }
    for (int i = 0; i < RUNS; i++) {
        struct timespec start, end;
        X509_STORE_CTX *ctx;
        X509_VERIFY_PARAM *param;

        clock_gettime(CLOCK_MONOTONIC, &start);
        ctx = X509_STORE_CTX_new();
        X509_STORE_CTX_init(ctx, store, sk_X509_value(chain, 0), chain);
        X509_STORE_CTX_set_default(ctx, "ssl_server");
        param = X509_STORE_CTX_get0_param(ctx);
        X509_VERIFY_PARAM_set_time(param, atoll(argv[1]));
        X509_VERIFY_PARAM_set1_host(param, argv[2], 0);
        accepted = X509_verify_cert(ctx) == 1;
        X509_STORE_CTX_free(ctx);
        clock_gettime(CLOCK_MONOTONIC, &end);
        took[i] = (end.tv_sec - start.tv_sec) * 1000000000LL + end.tv_nsec - start.tv_nsec;
    }
    qsort(took, RUNS, sizeof took[0], compare);
    printf("libcrypto %lld\naccepted %d\nanchors %d\n", took[RUNS / 2], accepted, anchors);
    return 0;
}
