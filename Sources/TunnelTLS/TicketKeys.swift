internal import COpenSSL
internal import Synchronization
package import TunnelPKI

/// The keys that seal session tickets (RFC 5077, RFC 8446 §4.6.1): stateless resumption, nothing kept per client.
///
/// Share one value among all contexts of a server that show the same chain, so that a ticket of one loop is good at every
/// other. A session made under another chain is never resumed, whatever keys are shared. Tickets are sealed with the
/// current key; those of the previous key are still opened, and replaced. Older ones cost the client a full handshake,
/// nothing else. Keys are random, leave memory wiped, and have no textual form.
///
/// The keys are this server's own, or those of a `TicketKeyFile`, by which servers open each other's tickets.
public final class TicketKeys: Sendable, CustomStringConvertible {
    private struct Keys {
        var current: TicketKey
        var previous: TicketKey?
        /// Of a file only: another server may seal with it already.
        var next: TicketKey?
        /// Whether they are a file's, and change with it and not by time.
        var areShared = false
        /// When `current` was made, on the caller's clock; nil until the caller first tells the time.
        var since: Int64?

        func isDue(_ now: Int64, _ interval: Int64) -> Bool {
            guard !areShared, let since else { return false }
            let (age, overflow) = now.subtractingReportingOverflow(since)
            return overflow || age >= interval
        }
    }
    private let keys: Mutex<Keys>

    /// Makes a first key.
    public init() throws(TLSError) {
        keys = Mutex(Keys(current: try TicketKey()))
    }

    /// Makes a new current key. The current one becomes the previous one, and the previous one is gone. In place of a
    /// file's keys it makes one of this server's own.
    public func rotate() throws(TLSError) {
        let fresh = try TicketKey()
        put { Keys(current: fresh, previous: $0.current, since: $0.since) }
    }

    /// What is replaced may be the last reference to a key: it is wiped after the lock, not under it.
    private func put(_ change: (Keys) -> Keys) {
        let old = keys.withLock { keys in
            let old = keys
            keys = change(old)
            return old
        }
        _ = consume old
    }

    /// Rotates when the current key is `interval` old. The first call only notes the time.
    ///
    /// - Parameter now: seconds on any clock that does not jump back.
    /// - Parameter interval: whole seconds count. A ticket is good for one to two intervals, at most for
    ///   `TLSServerContext.ticketLifetime`.
    /// - Returns: whether a new key was made. Never while the keys are a file's.
    @discardableResult
    public func rotateIfDue(now: Int64, every interval: Duration) throws(TLSError) -> Bool {
        let isDue = keys.withLock { keys in
            if keys.since == nil { keys.since = now }
            guard keys.isDue(now, interval.components.seconds) else { return false }
            keys.since = now
            return true
        }
        if isDue { try rotate() }
        return isDue
    }

    /// Whether ``rotateIfDue(now:every:)`` would make a new key.
    package func isDue(now: Int64, every interval: Int64) -> Bool { keys.withLock { $0.isDue(now, interval) } }

    // MARK: Sharing

    /// Whether they are the keys of a file.
    package var areShared: Bool { keys.withLock { $0.areShared } }

    /// The first four bytes of the name that new tickets carry, in hexadecimal: whether two servers seal alike.
    package var sealingName: String { current.shortName }

    /// Takes the keys of a file in place of those that are here: from the next handshake on, also of contexts that have this
    /// value already. What the file does not know any more costs a full handshake.
    package func share(_ file: TicketKeyFile) throws(TLSError) {
        guard file.keys.count == TicketKeyFile.keyCount else {
            throw TLSError(operation: "share ticket keys", detail: "the file was wiped")
        }
        var shared = Keys(current: try TicketKey(file.keys[1]))
        shared.previous = try TicketKey(file.keys[0])
        shared.next = try TicketKey(file.keys[2])
        shared.areShared = true
        put { _ in shared }
    }

    /// The key for new tickets.
    var current: TicketKey { keys.withLock { $0.current } }

    /// The key whose name a ticket carries, and whether the ticket should be replaced by one of the current key.
    func find(_ name: UnsafePointer<UInt8>) -> (key: TicketKey, isOld: Bool)? {
        let (current, previous, next) = keys.withLock { ($0.current, $0.previous, $0.next) }
        if current.isNamed(name) { return (current, false) }
        if let previous, previous.isNamed(name) { return (previous, true) }
        // It will be good for longer than one of ours.
        if let next, next.isNamed(name) { return (next, false) }
        return nil
    }

    public var description: String { "<redacted>" }
}

/// One key that seals session tickets: a public name, an AES-256 key and an HMAC-SHA-256 key (RFC 5077 §4).
///
/// Random when made, wiped when freed.
final class TicketKey: Sendable {
    static let nameSize = 16
    private static let keySize = 32
    private static let size = nameSize + 2 * keySize

    // SAFETY: written only in init, before the value is shared; freed when nobody holds it any more.
    nonisolated(unsafe) private let bytes: UnsafeMutableRawPointer

    /// A new one.
    init() throws(TLSError) {
        bytes = try Self.room()
        guard RAND_priv_bytes(bytes, CInt(Self.size)) == 1 else { throw .fromQueue("make ticket key") }
    }

    /// One of a file.
    init(_ key: [UInt8]) throws(TLSError) {
        guard key.count == Self.size else {
            throw TLSError(operation: "take ticket key", detail: "a key has \(Self.size) bytes")
        }
        bytes = try Self.room()
        key.withUnsafeBytes { UnsafeMutableRawBufferPointer(start: bytes, count: Self.size).copyMemory(from: $0) }
    }

    /// From where OpenSSL keeps private keys: out of swap and core files, where the program has asked for it.
    private static func room() throws(TLSError) -> UnsafeMutableRawPointer {
        ERR_clear_error()
        guard let bytes = CRYPTO_secure_malloc(size, nil, 0) else { throw .fromQueue("keep ticket key") }
        return bytes
    }

    deinit { CRYPTO_secure_clear_free(bytes, Self.size, nil, 0) }

    /// The beginning of the public name.
    var shortName: String {
        UnsafeRawBufferPointer(start: bytes, count: 4).map { byte in
            (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }.joined()
    }

    /// Whether a ticket that carries `name` (`nameSize` bytes) was sealed with this key.
    func isNamed(_ name: UnsafePointer<UInt8>) -> Bool { CRYPTO_memcmp(name, bytes, Self.nameSize) == 0 }

    /// Writes the name and a fresh initialisation vector, and sets both contexts up to seal a ticket.
    func seal(
        name: UnsafeMutablePointer<UInt8>, iv: UnsafeMutablePointer<UInt8>, cipher: OpaquePointer, mac: OpaquePointer
    ) -> Bool {
        UnsafeMutableRawPointer(name).copyMemory(from: bytes, byteCount: Self.nameSize)
        return RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) == 1
            && EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), nil, encryptionKey, iv) == 1 && setUp(mac)
    }

    /// Sets both contexts up to open a ticket.
    func open(iv: UnsafePointer<UInt8>, cipher: OpaquePointer, mac: OpaquePointer) -> Bool {
        EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), nil, encryptionKey, iv) == 1 && setUp(mac)
    }

    private var encryptionKey: UnsafePointer<UInt8> {
        UnsafeRawPointer(bytes + Self.nameSize).assumingMemoryBound(to: UInt8.self)
    }

    private func setUp(_ mac: OpaquePointer) -> Bool {
        let key = bytes + Self.nameSize + Self.keySize
        return withUnsafeTemporaryAllocation(of: OSSL_PARAM.self, capacity: 3) { parameters in
            parameters[0] = OSSL_PARAM_construct_octet_string(COpenSSL_MAC_PARAM_KEY(), key, Self.keySize)
            parameters[1] = OSSL_PARAM_construct_utf8_string(COpenSSL_MAC_PARAM_DIGEST(), COpenSSL_SHA256_name(), 0)
            parameters[2] = OSSL_PARAM_construct_end()
            return EVP_MAC_CTX_set_params(mac, parameters.baseAddress) == 1
        }
    }
}
