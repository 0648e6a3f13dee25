internal import COpenSSL

/// The four bytes that a client's payload is combined with (RFC 6455 §5.3).
public struct MaskingKey: Hashable, Sendable {
    /// The key with its first byte lowest, on any machine.
    let word: UInt32

    init(word: UInt32) { self.word = word }

    /// The key made of the four bytes in the order in which they travel.
    public init(_ first: UInt8, _ second: UInt8, _ third: UInt8, _ fourth: UInt8) {
        word = UInt32(first) | UInt32(second) << 8 | UInt32(third) << 16 | UInt32(fourth) << 24
    }

    /// The key as seen from `offset` bytes into the payload.
    func rotated(by offset: Int) -> UInt32 {
        let shift = UInt32(truncatingIfNeeded: offset & 3) &* 8
        return word &>> shift | word &<< (32 &- shift)
    }
}

/// Masks or unmasks `bytes` in place; the operation is its own inverse (RFC 6455 §5.3).
///
/// - Parameter offset: how many bytes of the same frame's payload came before `bytes`. A payload may so be treated in
///   pieces of any size.
public func applyMask(_ key: MaskingKey, to bytes: inout MutableSpan<UInt8>, offset: Int = 0) {
    bytes.withUnsafeMutableBytes { applyMask(key, to: $0, offset: offset) }
}

/// See the other form.
package func applyMask(_ key: MaskingKey, to bytes: UnsafeMutableRawBufferPointer, offset: Int = 0) {
    guard let start = bytes.baseAddress else { return }
    let word = key.rotated(by: offset)
    let wide = (UInt64(word) << 32 | UInt64(word)).littleEndian
    // SAFETY: both loops stay below `bytes.count`. Loads and stores may be unaligned, and a multiple of eight bytes
    // leaves the key's phase as it was. The compiler turns the word loop into vector instructions.
    let wordEnd = bytes.count & ~7
    var index = 0
    while index < wordEnd {
        let value = start.loadUnaligned(fromByteOffset: index, as: UInt64.self) ^ wide
        start.storeBytes(of: value, toByteOffset: index, as: UInt64.self)
        index &+= 8
    }
    var rest = word
    while index < bytes.count {
        let value = start.load(fromByteOffset: index, as: UInt8.self) ^ UInt8(truncatingIfNeeded: rest)
        start.storeBytes(of: value, toByteOffset: index, as: UInt8.self)
        rest = rest &>> 8
        // At most seven bytes are left: four shifts empty the word, then the key begins again.
        if index & 3 == 3 { rest = word }
        index &+= 1
    }
}

/// Fresh masking keys that a peer cannot predict (RFC 6455 §10.3), drawn 64 at a time so that a frame costs no call
/// into OpenSSL.
struct MaskingKeySource: Sendable {
    private static let batch = 64
    private var words: [UInt32] = []

    mutating func next() -> MaskingKey {
        if words.isEmpty { refill() }
        return MaskingKey(word: words.removeLast())
    }

    private mutating func refill() {
        words.append(contentsOf: repeatElement(0, count: Self.batch))
        // SAFETY: RAND_bytes writes exactly the number of bytes that the array holds.
        let drawn = words.withUnsafeMutableBytes { bytes in
            RAND_bytes(bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), CInt(bytes.count))
        }
        // OpenSSL's generator fails only before it was seeded; the system's own is then as good.
        if drawn != 1 { for index in words.indices { words[index] = .random(in: .min ... .max) } }
    }
}
