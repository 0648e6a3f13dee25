import Testing
import TunnelCore
import TunnelIO

/// Responses in any pieces, without a connection.
@Suite struct ResponseReaderTests {
    private func append(_ bytes: some Collection<UInt8>, to reader: inout ResponseReader) {
        for byte in bytes { reader.buffer.append([byte]) }
    }

    /// What is read when the bytes come in two pieces, and then an end.
    private func read(
        _ text: String, splitAt split: Int, limit: Int = 1024
    ) throws(ResponseReader.Failure) -> (status: Int, fields: [String], body: String, isDrained: Bool) {
        let bytes = Array(text.utf8)
        var reader = ResponseReader(.other)
        var isWhole = false
        for piece in [bytes[..<split], bytes[split...]] {
            append(piece, to: &reader)
            if try reader.takeHead() { isWhole = try reader.takeBody(limit: limit) }
        }
        if !isWhole { try reader.endOfInput() }
        return (
            reader.status, reader.fields.map { "\($0.name)=\($0.value)" },
            String(decoding: reader.body, as: UTF8.self), reader.isDrained
        )
    }

    static let responses: [(text: String, fields: [String], body: String)] = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\n\r\nhello", ["Content-Length=5", "A=b"], "hello"),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nX: y\r\n\r\nhello",
            ["X=y"], "hello"
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nX-T: 1\r\n\r\n",
            ["Transfer-Encoding=chunked"], "hello"
        ),
    ]

    @Test(arguments: responses) func everySplitReadsTheSame(
        _ row: (text: String, fields: [String], body: String)
    ) throws {
        for split in 0...row.text.utf8.count {
            let read = try read(row.text, splitAt: split)
            #expect(read.status == 200 && read.fields == row.fields && read.body == row.body && read.isDrained)
        }
    }

    @Test(arguments: responses) func everyShorterTextIsAnEnd(
        _ row: (text: String, fields: [String], body: String)
    ) throws {
        let endsWithConnection = !row.text.contains("Content-Length") && !row.text.contains("chunked")
        let end = row.text.utf8.count - (endsWithConnection ? row.body.utf8.count : 0)
        for count in 0..<end {
            let prefix = String(decoding: Array(row.text.utf8)[..<count], as: UTF8.self)
            #expect(throws: ResponseReader.Failure.ended) { _ = try read(prefix, splitAt: count / 2) }
        }
    }

    /// Eight responses before the one that counts, and one more.
    @Test(arguments: [(8, true), (9, false)]) func soManyInterimResponsesAreRead(_ count: Int, _ isTaken: Bool) throws {
        var reader = ResponseReader(.other)
        let interim = String(repeating: "HTTP/1.1 103 Early Hints\r\n\r\n", count: count)
        append("\(interim)HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".utf8, to: &reader)
        do throws(ResponseReader.Failure) { #expect(try reader.takeHead() && isTaken) } catch {
            #expect(error == .malformed("over 8 interim responses") && !isTaken)
        }
    }

    @Test func anUpgradeThatNobodyAskedForIsRefused() {
        var reader = ResponseReader(.other)
        append("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n".utf8, to: &reader)
        do throws(ResponseReader.Failure) { #expect(try !reader.takeHead(), "101 was taken for a response") } catch {
            if case .malformed = error {} else { Issue.record("\(error)") }
        }
    }

    /// At the limit and one beyond it, in the moment in which the length is known.
    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 5),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n", 5),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\n", 5),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n7FFFFFFFFFFFFFFF\r\n", 5),
        ("HTTP/1.1 200 OK\r\n\r\nhello", 5),
    ]) func whatIsAnnouncedBeyondTheLimitIsRefused(_ text: String, _ count: Int) throws {
        for limit in [count - 1, count, Int.max, 0, -1] {
            var reader = ResponseReader(.other)
            append(text.utf8, to: &reader)
            #expect(try reader.takeHead())
            let isLarge = text.contains("9223372036854775807") || text.contains("7FFF")
            let isRefused = limit < count || isLarge && (limit != .max || text.contains("7FFF"))
            do throws(ResponseReader.Failure) {
                #expect(try !reader.takeBody(limit: limit) && !isRefused)
            } catch { #expect(error == .tooLarge(limit: limit) && isRefused) }
        }
    }
}
