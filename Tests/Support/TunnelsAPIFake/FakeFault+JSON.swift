extension FakeFault {
    static let memberNames = [
        "kind", "method", "path", "skip", "times", "acts", "status", "type", "message", "retry_after", "retry_after_ms",
        "should_retry", "bytes",
    ]

    /// Reads a fault as it comes over the control interface.
    ///
    /// - Throws: 400 that names the member.
    init(_ members: [String: FakeJSON]) throws(FakeError) {
        guard let kind = members["kind"]?.text.flatMap(Kind.init(rawValue:)) else {
            throw .invalid("kind: must be one of \(Kind.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        self.init(kind)
        method = try FakeFault.text("method", members)
        path = try FakeFault.text("path", members)
        skip = try FakeFault.number("skip", 0...1_000_000, members) ?? 0
        times = try FakeFault.number("times", 1...1_000_000, members) ?? 1
        acts = try FakeFault.flag("acts", members)
        status = try FakeFault.number("status", 200...599, members)
        type = try FakeFault.text("type", members)
        message = try FakeFault.text("message", members)
        retryAfter = try FakeFault.text("retry_after", members)
        retryAfterMilliseconds = try FakeFault.text("retry_after_ms", members)
        shouldRetry = try FakeFault.flag("should_retry", members)
        bytes = try FakeFault.number("bytes", 0...FakeFault.maxBodyBytes, members) ?? bytes
    }

    private static func text(_ name: String, _ members: [String: FakeJSON]) throws(FakeError) -> String? {
        guard let member = members[name], member != .null else { return nil }
        guard let text = member.text, text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) else {
            throw .invalid("\(name): must be a string of printable ASCII")
        }
        return text
    }

    private static func number(
        _ name: String, _ range: ClosedRange<Int>, _ members: [String: FakeJSON]
    ) throws(FakeError) -> Int? {
        guard let member = members[name], member != .null else { return nil }
        guard let value = member.integer, range.contains(Int(value)) else {
            throw .invalid("\(name): must be a number in \(range)")
        }
        return Int(value)
    }

    private static func flag(_ name: String, _ members: [String: FakeJSON]) throws(FakeError) -> Bool? {
        guard let member = members[name], member != .null else { return nil }
        guard let value = member.boolean else { throw .invalid("\(name): must be true or false") }
        return value
    }
}
