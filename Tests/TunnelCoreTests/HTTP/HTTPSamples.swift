import Testing

@testable import TunnelCore

/// Shorthand of the HTTP tests: text in, parsed heads and bytes out.
enum HTTPSamples {
    /// Latin-1, so that a row can hold any byte as `\u{80}`...`\u{FF}`.
    static func bytes(_ text: String) -> [UInt8] { text.unicodeScalars.map { UInt8($0.value) } }

    static func text(_ bytes: [UInt8]) -> String { String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) })) }

    static func text(_ range: Range<Int>, of source: String) -> String { text(Array(bytes(source)[range])) }

    /// A request that must parse, being whole.
    static func request(_ source: String, limits: HeadLimits = HeadLimits()) throws -> RequestHead {
        var head = RequestHead()
        let size = try head.parse(bytes(source).span, limits: limits)
        try #require(size == source.unicodeScalars.count)
        return head
    }

    static func response(
        _ source: String, to method: Method = .get, limits: HeadLimits = HeadLimits()
    ) throws -> ResponseHead {
        var head = ResponseHead()
        let size = try head.parse(bytes(source).span, limits: limits, requestMethod: method)
        try #require(size == source.unicodeScalars.count)
        return head
    }

    /// The error that parsing a request ends in, fed whole or in pieces of `piece` bytes; `nil` if there is none.
    static func requestError(_ source: String, piece: Int? = nil, limits: HeadLimits = HeadLimits()) -> HTTPError? {
        let all = bytes(source)
        var head = RequestHead()
        var end = min(piece ?? all.count, all.count)
        do throws(HTTPError) {
            while try head.parse(all.span.extracting(0..<end), limits: limits) == nil, end < all.count {
                end = min(end + (piece ?? all.count), all.count)
            }
            return nil
        } catch { return error }
    }

    static func responseError(
        _ source: String, to method: Method = .get, piece: Int? = nil, limits: HeadLimits = HeadLimits()
    ) -> HTTPError? {
        let all = bytes(source)
        var head = ResponseHead()
        var end = min(piece ?? all.count, all.count)
        do throws(HTTPError) {
            while try head.parse(all.span.extracting(0..<end), limits: limits, requestMethod: method) == nil,
                end < all.count
            {
                end = min(end + (piece ?? all.count), all.count)
            }
            return nil
        } catch { return error }
    }
}
