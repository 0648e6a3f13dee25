import Glibc
import Testing

@testable import mcp_proxy

@Suite struct DemoIdentityTests {
    /// The permission bits of a file or folder, `nil` if it is not there.
    private func mode(of path: String) -> mode_t? {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & 0o777 : nil
    }

    @Test func keyIsPrivateAndGoneAfterwards() throws {
        let identity = try DemoIdentity(domain: "t.example")
        let key = identity.keyFile
        let certificate = identity.certificateFile
        let folder = String(key.dropLast("/tls.key".count))
        #expect(mode(of: folder) == 0o700 && mode(of: key) == 0o600 && mode(of: certificate) == 0o600)
        identity.removeFiles()
        #expect(mode(of: key) == nil && mode(of: certificate) == nil && mode(of: folder) == nil)
    }
}

@Suite struct DemoStoryTests {
    @Test(arguments: [
        (Duration.zero, "    0.0 ms"), (.microseconds(99), "    0.0 ms"), (.microseconds(100), "    0.1 ms"),
        (.microseconds(12_349), "   12.3 ms"), (.seconds(2), " 2000.0 ms"), (.seconds(12_345), "12345000.0 ms"),
    ])
    func timesStandInAColumn(_ time: Duration, _ text: String) { #expect(DemoStory.time(time) == text) }
}

@Suite struct EventReaderTests {
    private static let streams: [(String, [String])] = [
        ("data: a\n\n", ["a"]), ("data:a\n\n", ["a"]), ("data:  a\n\n", [" a"]),
        ("event: message\nid: 3\ndata: {\"a\":1}\n\ndata: b\n\n", ["{\"a\":1}", "b"]),
        ("data: a\ndata: b\n\n", ["a\nb"]),
        (": comment\n\nretry: 3\n\n", []),
        ("data: not ended\n", []),
        ("data: é\n\n", ["é"]),
    ]

    @Test(arguments: streams) func anySplitGivesTheSameEvents(_ text: String, _ events: [String]) {
        let bytes = Array(text.utf8)
        for split in 0...bytes.count {
            var reader = EventReader()
            #expect(reader.take(Array(bytes[..<split])) + reader.take(Array(bytes[split...])) == events)
        }
        var reader = EventReader()
        #expect(bytes.flatMap { reader.take([$0]) } == events)
    }
}
