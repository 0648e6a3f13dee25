package import TunnelCore

/// Takes one HTTP/1.1 response out of the bytes of a connection: heads, then the body, all within limits.
///
/// Pure: no socket and no clock, so that any split of the bytes can be tested and fuzzed. The caller appends what it has
/// received to ``buffer`` and asks again. Nothing is parsed twice: head and body go on where the last call stopped.
package struct ResponseReader: ~Copyable {
    /// Heads with a status of 1xx before the final one (RFC 9110 §15.2). A few hints are usual, a flood is an attack.
    package static let maxInterimHeads = 8
    /// More than a head, so that a short response comes in one piece.
    package static let bufferLimit = HeadLimits().maxBytes + 16_384

    package enum Failure: Error, Equatable {
        /// The connection ended in order, where more had to come.
        case ended
        /// In words, naming the rule.
        case malformed(String)
        /// The body is longer than this many bytes, or says that it will be.
        case tooLarge(limit: Int)
    }

    /// What has been received and not been used yet.
    package var buffer = ByteBuffer()
    /// Bytes of body, without any transfer coding. Whole when ``takeBody(limit:)`` says so.
    package private(set) var body: [UInt8] = []
    /// Of the final head, in the order they came; bytes that are not UTF-8 are replaced.
    package private(set) var fields: [(name: String, value: String)] = []

    private let method: Method
    private var head = ResponseHead()
    private var interimHeads = 0
    /// `nil` until the final head is there.
    private var decoder: BodyDecoder?

    /// - Parameter method: of the request; it decides whether there is a body.
    package init(_ method: Method) { self.method = method }

    /// Of the final head.
    package var status: Int { Int(head.status) }
    /// The server leaves the connection open for another request.
    package var isPersistent: Bool { head.isPersistent }
    /// Nothing has come that is not part of the response.
    package var isDrained: Bool { buffer.isEmpty }

    /// Reads up to the end of the final head; those with 1xx are passed over.
    ///
    /// - Returns: whether it is there. Otherwise more bytes are needed.
    package mutating func takeHead() throws(Failure) -> Bool {
        while decoder == nil {
            guard let count = try parseHead() else { return false }
            if head.isInformational {
                interimHeads += 1
                guard interimHeads <= Self.maxInterimHeads else {
                    throw .malformed("over \(Self.maxInterimHeads) interim responses")
                }
                head.reset()
            } else {
                guard head.status != 101 else {
                    throw .malformed("101 although no upgrade was asked for (RFC 9110 15.2.2)")
                }
                decoder = BodyDecoder(head.framing)
                fields = copyFields()
            }
            buffer.consume(count)
        }
        return true
    }

    private mutating func parseHead() throws(Failure) -> Int? {
        // A typed throw does not pass through the closure together with a change of `self`. Swapped, not copied: a copy
        // would share its fields, and each read would copy them all.
        var head = ResponseHead()
        swap(&head, &self.head)
        defer { swap(&head, &self.head) }
        do throws(HTTPError) {
            return try buffer.withBytes { bytes throws(HTTPError) in try head.parse(bytes, requestMethod: method) }
        } catch { throw .malformed(error.reason) }
    }

    private func copyFields() -> [(name: String, value: String)] {
        buffer.withBytes { bytes in
            head.fields.map { field in (text(bytes, field.name), text(bytes, field.value)) }
        }
    }

    /// Reads on in the body, when the final head is there.
    ///
    /// - Parameter limit: bytes of the body. What is announced beyond them, by a length or by a chunk's header, is
    ///   refused before it comes, for it may be announced and never come.
    /// - Returns: whether all of it is there. Otherwise more bytes are needed, or ``endOfInput()``.
    package mutating func takeBody(limit: Int) throws(Failure) -> Bool {
        guard var decoder else { return false }
        defer { self.decoder = decoder }
        var consumed = 0
        do throws(HTTPError) {
            consumed = try buffer.withMutableBytes { bytes throws(HTTPError) in
                let progress = try decoder.decode(inPlace: bytes)
                body.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[..<progress.produced]))
                return progress.consumed
            }
        } catch { throw .malformed(error.reason) }
        buffer.consume(consumed)
        let room = UInt64(max(0, limit)).subtractingReportingOverflow(UInt64(body.count))
        guard !room.overflow, decoder.announced <= room.partialValue else { throw .tooLarge(limit: limit) }
        return decoder.isComplete
    }

    /// The connection has ended in order. Only a body that goes on until then may end so.
    package mutating func endOfInput() throws(Failure) {
        guard decoder != nil else { throw .ended }
        do throws(HTTPError) { try decoder?.endOfInput() } catch { throw .ended }
    }
}

private func text(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String {
    bytes.extracting(range).withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
}
