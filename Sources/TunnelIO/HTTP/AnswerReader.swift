internal import TunnelCore

/// Reads one answer from a connection: heads, then the body, all within limits.
struct AnswerReader: ~Copyable {
    /// Heads with a status of 1xx before the final one (RFC 9110 §15.2). A few hints are usual, a flood is an attack.
    static let maxInformational = 8
    /// More than a head, so that a short answer comes in one piece.
    private static let bufferLimit = HeadLimits().maxBytes + 16_384

    enum Failure: Error {
        /// The connection ended in order, where more had to come.
        case ended
        case io(IOError)
        /// In words, naming the rule.
        case malformed(String)
        case tooLarge(limit: Int)
    }

    private let connection: ClientConnection
    private var buffer = ByteBuffer()
    private var head = ResponseHead()
    /// Whether any byte has come.
    private(set) var hasBegun = false

    init(_ connection: ClientConnection) { self.connection = connection }

    /// Nothing has come that was not part of the answer.
    var isDrained: Bool { buffer.isEmpty }

    /// Reads up to the end of the final head; 1xx heads are skipped.
    mutating func readHead(_ method: Method) async throws(Failure) -> (status: Int, isPersistent: Bool) {
        for _ in 0...Self.maxInformational {
            head.reset()
            let count = try await readOneHead(method)
            if head.isInformational {
                buffer.consume(count)
                continue
            }
            guard head.status != 101 else {
                throw .malformed("101 although no upgrade was asked for (RFC 9110 15.2.2)")
            }
            fields = copyFields()
            buffer.consume(count)
            return (Int(head.status), head.isPersistent)
        }
        throw .malformed("over \(Self.maxInformational) interim answers")
    }

    /// Of the final head.
    private(set) var fields: [(name: String, value: String)] = []

    private mutating func readOneHead(_ method: Method) async throws(Failure) -> Int {
        while true {
            if let count = try parse(method) { return count }
            guard try await receive() else { throw .ended }
        }
    }

    private mutating func parse(_ method: Method) throws(Failure) -> Int? {
        // A typed throw does not pass through the closure together with the change of `head`.
        var head = self.head
        defer { self.head = head }
        do throws(HTTPError) {
            return try buffer.withBytes { bytes throws(HTTPError) in try head.parse(bytes, requestMethod: method) }
        } catch { throw .malformed(error.reason) }
    }

    private func copyFields() -> [(name: String, value: String)] {
        buffer.withBytes { bytes in
            head.fields.map { field in (text(bytes, field.name), text(bytes, field.value)) }
        }
    }

    /// Reads the body that the final head announced.
    mutating func readBody(limit: Int) async throws(Failure) -> [UInt8] {
        if case .length(let length) = head.framing, length > UInt64(max(0, limit)) { throw .tooLarge(limit: limit) }
        var decoder = BodyDecoder(head.framing)
        var body: [UInt8] = []
        while true {
            try decode(&decoder, into: &body, limit: limit)
            if decoder.isComplete { return body }
            if try await receive() { continue }
            do throws(HTTPError) { try decoder.endOfInput() } catch { throw .ended }
            return body
        }
    }

    private mutating func decode(
        _ decoder: inout BodyDecoder, into body: inout [UInt8], limit: Int
    ) throws(Failure) {
        var consumed = 0
        do throws(HTTPError) {
            consumed = try buffer.withMutableBytes { bytes throws(HTTPError) in
                let progress = try decoder.decode(inPlace: bytes)
                body.append(contentsOf: bytes[..<progress.produced])
                return progress.consumed
            }
        } catch { throw .malformed(error.reason) }
        buffer.consume(consumed)
        guard body.count <= limit else { throw .tooLarge(limit: limit) }
    }

    /// Waits for more bytes; `false` at the end of the stream.
    private mutating func receive() async throws(Failure) -> Bool {
        do throws(IOError) {
            while true {
                switch try connection.receive(into: &buffer, limit: Self.bufferLimit) {
                case .bytes:
                    hasBegun = true
                    return true
                case .end: return false
                case .nothing: await connection.readable()
                }
            }
        } catch { throw .io(error) }
    }
}

private func text(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String {
    bytes.extracting(range).withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
}
