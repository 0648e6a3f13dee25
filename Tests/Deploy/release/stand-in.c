/* Stands in for a program of ours in a release: linked with the same libraries, and with what depends on its folder. */
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

/* As in a program of Swift, whose compiler hashes folder names into it. */
__attribute__((section(".swift_modhash"), used)) static const char hash[64] = FOLDER;

int main(int count, char **arguments) {
    if (count > 1 && strstr(arguments[1], "version")) {
        puts(PROGRAM " " VERSION);
        return 0;
    }
    printf("%s %s %s\n", MARK, OpenSSL_version(OPENSSL_VERSION), zlibVersion());
    return 0;
}
