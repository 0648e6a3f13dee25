package import TunnelCore
package import TunnelIO

/// A request of our own, made for a check and not for a client, with its response: within a time and within a size.
package enum OwnRequest {
    package struct Response: Sendable {
        package let status: Int
        /// In the order they came.
        package let fields: [(name: String, value: String)]
        package let body: [UInt8]
        /// The connection can carry another request.
        package let isReusable: Bool
    }

    /// Why there is no response, or no whole one.
    package enum Failure: Error, Sendable, CustomStringConvertible {
        /// Nothing came in time.
        case silent
        /// The time was over in the midst of the response.
        case stalled
        /// The connection ended before the response had begun.
        case closed
        /// It ended in the midst.
        case brokenOff
        case reset
        /// `reason` names the rule that was broken; `first` has the first bytes that came.
        case malformed(reason: String, first: [UInt8])
        case tooLarge(limit: Int)
        case failed(IOError)

        package var description: String {
            switch self {
            case .silent: "no response in time"
            case .stalled: "the response stopped in its midst"
            case .closed: "the connection ended without a response"
            case .brokenOff: "the connection ended within the response"
            case .reset: "connection reset by peer"
            case .malformed(let reason, _): "malformed response: \(reason)"
            case .tooLarge(let limit): "more than \(limit) bytes"
            case .failed(let error): "\(error)"
            }
        }
    }

    /// Sends `request` and reads its response. After a failure the connection is of no more use.
    ///
    /// - Parameters:
    ///   - request: head and body, whole, as for HTTP/1.1.
    ///   - isHTTP2: the connection's server speaks HTTP/2, and nothing was sent on it yet. It is of use for one request.
    ///   - timeout: nanoseconds for all of it.
    ///   - limit: bytes of the body.
    ///   - isEnough: asked when the head is there, and again when more of the body has come; what is left then is not read.
    package static func send(
        _ request: [UInt8], _ method: Method, on connection: ClientConnection, isHTTP2: Bool = false, timeout: UInt64,
        limit: Int, reactor: Reactor, isEnough: ([UInt8]) -> Bool = { _ in false }
    ) async throws(Failure) -> Response {
        let deadline = Deadline(on: reactor) { [unowned connection] in
            connection.reset(IOError(.timedOut, "read"))
        }
        deadline.set(after: timeout)
        defer { deadline.cancel() }
        if isHTTP2 { return try await sendHTTP2(request, on: connection, limit, reactor, isEnough) }
        var reader = ResponseReader(method)
        // A head that does not parse may say by its first bytes what it is.
        var first: [UInt8] = []
        do throws(IOError) {
            if request.withUnsafeBytes({ connection.send($0) }) == .full { try await connection.flush(stall: 0) }
        } catch { throw failure(error, hasBegun: false) }
        var hasHead = false
        while true {
            do throws(ResponseReader.Failure) {
                if !hasHead { hasHead = try reader.takeHead() }
                if hasHead {
                    let isWhole = try reader.takeBody(limit: limit)
                    if isWhole || isEnough(reader.body) { return response(reader, isWhole: isWhole) }
                }
            } catch { throw failure(error, first) }
            let received: Received
            do throws(IOError) {
                received = try connection.receive(into: &reader.buffer, limit: ResponseReader.bufferLimit)
            } catch { throw failure(error, hasBegun: !first.isEmpty) }
            switch received {
            case .bytes: if first.count < 64, !hasHead { first = Array(reader.buffer.array.prefix(64)) }
            case .nothing: await connection.readable()
            case .end:
                do throws(ResponseReader.Failure) { try reader.endOfInput() } catch {
                    throw first.isEmpty ? .closed : .brokenOff
                }
                return response(reader, isWhole: false)
            }
        }
    }

    private static func response(_ reader: borrowing ResponseReader, isWhole: Bool) -> Response {
        Response(
            status: reader.status, fields: reader.fields, body: reader.body,
            isReusable: isWhole && reader.isPersistent && reader.isDrained)
    }

    private static func failure(_ error: ResponseReader.Failure, _ first: [UInt8]) -> Failure {
        switch error {
        case .ended: .brokenOff
        case .malformed(let reason): .malformed(reason: reason, first: first)
        case .tooLarge(let limit): .tooLarge(limit: limit)
        }
    }

    static func failure(_ error: IOError, hasBegun: Bool) -> Failure {
        switch error.code {
        case .timedOut: hasBegun ? .stalled : .silent
        case .endOfStream: hasBegun ? .brokenOff : .closed
        case .system(let number) where IOError.isReset(number): .reset
        default: .failed(error)
        }
    }
}
