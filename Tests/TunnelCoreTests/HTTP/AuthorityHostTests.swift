import Testing
@testable import TunnelCore

@Suite struct AuthorityHostTests {
    static let longest = String(repeating: "a", count: Authority.maxHostBytes)

    /// A `Host` field's value and the name it stands for.
    static let vectors: [(String, String?)] = [
        ("echo.example", "echo.example"), ("ECHO.Example", "echo.example"), ("echo.example.", "echo.example"),
        ("echo.example:443", "echo.example"), ("echo.example.:443", "echo.example"), ("echo.example:", "echo.example"),
        ("e:0", "e"), ("e:65535", "e"), ("e:65536", nil), ("e:00080", "e"), ("e:000080", nil),
        ("e:99999999999999999999", nil),
        ("e:8o", nil), ("e: 80", nil), ("e:-1", nil), ("e:80:80", nil), ("e:80 ", nil), ("e::", nil),
        ("", nil), (".", nil), (":80", nil), (".:80", nil), ("e..", "e."), ("..", "."),
        ("10.0.0.1:80", "10.0.0.1"), ("Ünï.example", nil), ("a b", nil), ("a@b", nil), ("a~b", "a~b"), ("[", nil),
        ("[::1]", "[::1]"), ("[::1]:443", "[::1]"), ("[::1]:", "[::1]"), ("[0:0::0001]", "[::1]"),
        ("[FD00::A]", "[fd00::a]"), ("[::ffff:a00:1]:1", "[::ffff:10.0.0.1]"), ("[::1", nil), ("[::1]x", nil),
        ("[::1].", nil), ("[::1]:x", nil), ("[]", nil), ("[10.0.0.1]", nil), ("[fe80::1%eth0]", nil), ("[v1.x]", nil),
        ("::1", nil), ("[[::1]]", nil), ("[::1]]", nil),
        (longest, longest), (longest + ":80", longest), (longest + ".", longest), (longest + "a", nil),
        (String(repeating: "a", count: 70_000), nil),
    ]
    @Test(arguments: vectors) func normalises(_ row: (host: String, name: String?)) {
        #expect(normalise(Array(row.host.utf8)) == row.name.map { Array($0.utf8) })
    }

    /// Only ASCII letters have a lower case here, and a byte that no host has makes it none.
    @Test func takesHostBytesOnly() {
        let others = Set("0123456789abcdefghijklmnopqrstuvwxyz-._~".utf8)
        for byte in UInt8.min...UInt8.max where byte != UInt8(ascii: ":") {
            let isUpper = byte >= 0x41 && byte <= 0x5A
            let expected: [UInt8]? =
                isUpper ? [0x61, byte + 32, 0x61] : others.contains(byte) ? [0x61, byte, 0x61] : nil
            #expect(normalise([0x61, byte, 0x61]) == expected)
        }
    }

    private func normalise(_ host: [UInt8]) -> [UInt8]? {
        var room = [UInt8](repeating: 0, count: Authority.maxHostBytes)
        let count = room.withUnsafeMutableBytes { Authority.writeHost(of: host.span, to: $0) }
        return count.map { Array(room[..<$0]) }
    }
}
