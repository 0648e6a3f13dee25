/// Walks a comma-separated field value (RFC 9110 §5.6.1), such as that of Connection or Upgrade, without copying it.
///
/// Empty elements are skipped, as a recipient must. Quoted strings are not understood: the lists that we read hold
/// tokens only.
package struct TokenList: Sendable {
    private var position: Int
    private let end: Int
    /// Elements met so far, empty ones too.
    package private(set) var count = 0

    package init(_ value: Range<Int>) {
        position = value.lowerBound
        end = value.upperBound
    }

    /// The next element that is not empty, without white space around it.
    package mutating func next(in bytes: Span<UInt8>) -> Range<Int>? {
        while position < end {
            var comma = position
            while comma < end, bytes[comma] != HTTPByte.comma { comma += 1 }
            let element = bytes.trimmed(position..<comma)
            position = comma + 1
            count += 1
            if !element.isEmpty { return element }
        }
        return nil
    }

    /// Whether the list at `value` has the element `token` (lower case), in any case.
    package static func contains(_ token: StaticString, in value: Range<Int>, of bytes: Span<UInt8>) -> Bool {
        var list = TokenList(value)
        while let element = list.next(in: bytes) {
            if bytes.matches(element, ignoringCase: token) { return true }
        }
        return false
    }
}
