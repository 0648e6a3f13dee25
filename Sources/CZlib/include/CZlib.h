// zlib for Swift: its init functions are macros, which Swift cannot import.
#ifndef CZLIB_H
#define CZLIB_H

#include <zlib.h>

static inline int CZlib_deflateInit2(z_stream *stream, int level, int windowBits, int memLevel, int strategy) {
    return deflateInit2(stream, level, Z_DEFLATED, windowBits, memLevel, strategy);
}

static inline int CZlib_inflateInit2(z_stream *stream, int windowBits) { return inflateInit2(stream, windowBits); }

#endif
