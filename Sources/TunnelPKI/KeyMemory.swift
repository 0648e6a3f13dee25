internal import COpenSSL

/// The part of a program's memory in which OpenSSL keeps private keys, and we the keys of session tickets.
///
/// OpenSSL's secure heap: pages that are locked, so that they are never written to swap, left out of core files, and have a
/// page on either side that nobody can touch; what is given back there is overwritten. The numbers of a key lie there,
/// and what RSA derives from them once (the Montgomery forms of its primes) lies outside: OpenSSL has no say in that.
package enum KeyMemory {
    /// Room for some hundreds of RSA keys; pages that are not used cost nothing. OpenSSL takes it in powers of two, and has
    /// no other place when it is full.
    private static let size = 1 << 20
    /// The smallest piece: a key of X25519, of which each TLS connection has one while it shakes hands.
    private static let smallest: Int = 32

    /// To be called once, before the first key is read and while there is one thread. Without it, keys lie where all else
    /// does.
    ///
    /// - Returns: whether the pages are locked. The system may not allow it (`RLIMIT_MEMLOCK`), and the rest holds all the same.
    @discardableResult
    package static func prepare() -> Bool { CRYPTO_secure_malloc_init(size, smallest) == 1 }
}
