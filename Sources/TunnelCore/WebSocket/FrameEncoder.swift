internal import COpenSSL

/// Writes frames for one side of a connection (RFC 6455 §5.2); a client's are masked, each with a fresh key.
public struct FrameEncoder: Sendable {
    public let role: WebSocketRole
    private var keys = MaskingKeySource()
    /// Headers made so far.
    package private(set) var frameCount: UInt64 = 0

    public init(role: WebSocketRole) { self.role = role }

    /// A header for our role, with a fresh masking key if we are a client.
    ///
    /// For callers that lay out header and payload themselves: they also apply the `mask` if it is set.
    public mutating func header(
        _ opcode: Opcode, isFinal: Bool = true, isCompressed: Bool = false, payloadLength: Int
    ) -> FrameHeader {
        precondition(
            !opcode.isControl || isFinal && !isCompressed && payloadLength <= FrameHeader.maxControlPayload,
            "control frames are short and whole")
        frameCount &+= 1
        return FrameHeader(
            opcode, isFinal: isFinal, isCompressed: isCompressed, payloadLength: payloadLength,
            mask: role == .client ? keys.next() : nil)
    }

    /// Appends one frame.
    ///
    /// - Parameter isFinal: `false` if continuation frames follow. A control frame is always final and its payload at
    ///   most 125 bytes; anything else is a programming error and traps.
    /// - Parameter isCompressed: set on the first frame of a message whose payload `PerMessageDeflate` made.
    package mutating func append(
        _ opcode: Opcode, isFinal: Bool = true, isCompressed: Bool = false, payload: UnsafeRawBufferPointer,
        to buffer: inout ByteBuffer
    ) {
        let header = header(opcode, isFinal: isFinal, isCompressed: isCompressed, payloadLength: payload.count)
        _ = buffer.append(atMost: header.size + payload.count) { room in
            let size = header.write(into: room)
            let body = UnsafeMutableRawBufferPointer(rebasing: room[size..<size + payload.count])
            body.copyMemory(from: payload)
            if let key = header.mask { applyMask(key, to: body) }
            return size + payload.count
        }
    }

    /// Appends one frame; see the other form.
    public mutating func append(
        _ opcode: Opcode, isFinal: Bool = true, isCompressed: Bool = false, payload: Span<UInt8>,
        to buffer: inout ByteBuffer
    ) {
        payload.withUnsafeBytes {
            append(opcode, isFinal: isFinal, isCompressed: isCompressed, payload: $0, to: &buffer)
        }
    }

    /// Appends a Close frame (RFC 6455 §5.5.1).
    ///
    /// - Parameter code: `nil`, or a code that never travels such as 1005, makes a Close frame without a payload.
    /// - Parameter reason: cut to what fits, 123 bytes, at the end of a character.
    public mutating func appendClose(_ code: CloseCode?, reason: String = "", to buffer: inout ByteBuffer) {
        guard let code, code.isValidOnTheWire else {
            return append(.close, payload: UnsafeRawBufferPointer(start: nil, count: 0), to: &buffer)
        }
        var payload = [UInt8(code.rawValue >> 8), UInt8(truncatingIfNeeded: code.rawValue)]
        for scalar in reason.unicodeScalars {
            guard payload.count + UTF8.width(scalar) <= FrameHeader.maxControlPayload else { break }
            payload.append(contentsOf: scalar.utf8)
        }
        append(.close, payload: payload.span, to: &buffer)
    }
}

/// The four bytes that a client's payload is combined with (RFC 6455 §5.3).
public struct MaskingKey: Hashable, Sendable {
    /// The key with its first byte lowest, on any machine.
    let word: UInt32

    init(word: UInt32) { self.word = word }

    /// The key made of the four bytes in the order in which they travel.
    public init(_ first: UInt8, _ second: UInt8, _ third: UInt8, _ fourth: UInt8) {
        word = UInt32(first) | UInt32(second) << 8 | UInt32(third) << 16 | UInt32(fourth) << 24
    }

    /// Masks or unmasks `bytes` in place; the operation is its own inverse (RFC 6455 §5.3).
    ///
    /// - Parameter offset: how many bytes of the same frame's payload came before `bytes`. A payload may so be treated in
    ///   pieces of any size.
    public func apply(to bytes: inout MutableSpan<UInt8>, offset: Int = 0) {
        bytes.withUnsafeMutableBytes { applyMask(self, to: $0, offset: offset) }
    }

    /// The key as seen from `offset` bytes into the payload.
    func rotated(by offset: Int) -> UInt32 {
        let shift = UInt32(truncatingIfNeeded: offset & 3) &* 8
        return word &>> shift | word &<< (32 &- shift)
    }
}

/// See ``MaskingKey/apply(to:offset:)``.
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
