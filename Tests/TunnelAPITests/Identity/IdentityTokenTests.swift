import Glibc
import Testing
import TunnelCore

@testable import TunnelAPI

/// Where the identity token comes from, and what is refused before anything is sent.
@Suite struct IdentityTokenTests {
    private static func reason(_ source: IdentityTokenSource) -> String? {
        do throws(IdentityToken.Failure) {
            _ = try IdentityToken.read(source)
            return nil
        } catch { return error.reason }
    }

    @Test func readsFileAndTrims() throws {
        let file = try TokenFile(" \n\(Sample.assertion)\r\n")
        #expect(try IdentityToken.read(.file(file.path)).reveal() == Sample.assertion)
        try file.write("rotated")
        #expect(try IdentityToken.read(.file(file.path)).reveal() == "rotated")
    }

    @Test func trimsValue() throws {
        #expect(try IdentityToken.read(.value(Secret(" \(Sample.assertion)\n"))).reveal() == Sample.assertion)
    }

    @Test(arguments: ["", " \n\t"]) func refusesEmpty(_ content: String) throws {
        let file = try TokenFile(content)
        #expect(Self.reason(.file(file.path)) == "identity token file \"\(file.path)\" is empty")
        #expect(Self.reason(.value(Secret(content))) == "identity token value is empty")
    }

    @Test func refusesFileWithoutName() {
        #expect(Self.reason(.file("")) == "identity token file path is empty")
    }

    @Test func namesFileThatCannotBeRead() throws {
        #expect(
            Self.reason(.file("/nonexistent/token"))
                == "failed to read identity token file \"/nonexistent/token\": no such file or directory")
        #expect(Self.reason(.file("/"))?.hasPrefix("failed to read identity token file \"/\": ") == true)
    }

    /// The token itself where its file's name belongs.
    @Test func hidesTokenGivenAsPath() {
        #expect(Self.reason(.file(Sample.assertion))?.contains("\"[redacted]\"") == true)
    }

    @Test func limitIsExact() throws {
        let longest = String(repeating: "a", count: 16_384)
        let file = try TokenFile("\n\(longest)\n")
        #expect(try IdentityToken.read(.file(file.path)).reveal() == longest)
        #expect(try IdentityToken.read(.value(Secret(longest))).reveal() == longest)
        let expected = "identity token exceeds 16384-byte limit (got 16385 bytes)"
        try file.write(longest + "a")
        #expect(Self.reason(.file(file.path)) == expected)
        #expect(Self.reason(.value(Secret(longest + "a"))) == expected)
    }

    @Test func readsNoMoreThanItNeeds() throws {
        let blank = String(repeating: " ", count: IdentityToken.maxFileBytes - 3)
        let file = try TokenFile(blank + "jwt")
        #expect(try IdentityToken.read(.file(file.path)).reveal() == "jwt")
        try file.write(blank + "jwt ")
        #expect(Self.reason(.file(file.path))?.contains("larger than 65536 bytes") == true)
        #expect(Self.reason(.file("/dev/zero"))?.contains("larger than 65536 bytes") == true)
    }

    @Test func refusesBytesThatAreNoText() throws {
        let file = try TokenFile("")
        try file.write([0xFF, 0xFE])
        #expect(Self.reason(.file(file.path))?.contains("is not text") == true)
    }
}

/// A file that is gone with it.
final class TokenFile: Sendable {
    let path: String

    init(_ content: String) throws {
        var template = Array("/tmp/identity-token-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        try #require(descriptor >= 0)
        close(descriptor)
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        try write(content)
    }

    deinit { unlink(path) }

    func write(_ content: String) throws { try write(Array(content.utf8)) }

    func write(_ bytes: [UInt8]) throws {
        let file = try #require(fopen(path, "we"))
        defer { fclose(file) }
        #expect(fwrite(bytes, 1, bytes.count, file) == bytes.count)
    }
}
