import Testing
@testable import TunnelCore

@Suite struct HostNameTests {
    static let longest = String(repeating: "a", count: HostName.maxBytes)

    /// A `Host` field's value and the name it stands for.
    static let vectors: [(String, String?)] = [
        ("echo.example", "echo.example"), ("ECHO.Example", "echo.example"), ("echo.example.", "echo.example"),
        ("echo.example:443", "echo.example"), ("echo.example.:443", "echo.example"), ("echo.example:", "echo.example"),
        ("e:0", "e"), ("e:65535", "e"), ("e:65536", nil), ("e:00080", "e"), ("e:99999999999999999999", nil),
        ("e:8o", nil), ("e: 80", nil), ("e:-1", nil), ("e:80:80", nil), ("e:80 ", nil), ("e::", nil),
        ("", nil), (".", nil), (":80", nil), (".:80", nil), ("e..", "e."), ("..", "."),
        ("10.0.0.1:80", "10.0.0.1"), ("Ünï.example", "Ünï.example"), ("a b", "a b"), ("a@b", "a@b"), ("[", nil),
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

    /// Only ASCII letters have a lower case here; all other bytes stay.
    @Test func leavesOtherBytesAlone() {
        for byte in UInt8.min...UInt8.max where byte != UInt8(ascii: ":") && byte != UInt8(ascii: "[") {
            let isUpper = byte >= 0x41 && byte <= 0x5A
            #expect(normalise([0x61, byte, 0x61]) == [0x61, isUpper ? byte + 32 : byte, 0x61])
        }
    }

    private func normalise(_ host: [UInt8]) -> [UInt8]? {
        var room = [UInt8](repeating: 0, count: HostName.maxBytes)
        let count = room.withUnsafeMutableBytes { HostName.normalise(host.span, into: $0) }
        return count.map { Array(room[..<$0]) }
    }
}
