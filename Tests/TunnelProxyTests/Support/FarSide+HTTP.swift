import TunnelCore

/// An answer as the far side read it.
struct Answer: Equatable {
    var status = 0
    /// In lower case.
    var fields: [String: String] = [:]
    var body = ""
    /// Whether its end was certain: by length, chunks, or close_notify.
    var isWhole = false

    var isClosing: Bool { fields["connection"] == "close" }
}

extension FarSide {
    /// Sends a request of HTTP/1.1 and reads its answer.
    func request(_ method: String = "GET", _ path: String = "/", host: String = "a.t.example", body: String? = nil)
        throws -> Answer
    {
        var text = "\(method) \(path) HTTP/1.1\r\nHost: \(host)\r\n"
        if let body { text += "Content-Length: \(body.utf8.count)\r\n" }
        try send(text + "\r\n" + (body ?? ""))
        return try answer(to: method)
    }

    /// Reads one answer; at the connection's end what there is of it.
    func answer(to method: String = "GET") throws -> Answer {
        var answer = Answer()
        while true {
            let bytes = String(decoding: plaintext.array, as: UTF8.self)
            if let end = bytes.firstRange(of: "\r\n\r\n") {
                let lines = bytes[..<end.lowerBound].split(separator: "\r\n", omittingEmptySubsequences: false)
                answer.status = Int(lines[0].dropFirst(9).prefix(3)) ?? 0
                for line in lines.dropFirst() {
                    let parts = line.split(separator: ":", maxSplits: 1)
                    answer.fields[parts[0].lowercased()] = parts.count > 1 ? String(parts[1].drop { $0 == " " }) : ""
                }
                consume(bytes[..<end.upperBound].utf8.count)
                break
            }
            guard try step() else { return answer }
        }
        let hasNoBody = answer.status < 200 || answer.status == 204 || answer.status == 304 || method == "HEAD"
        if hasNoBody {
            answer.isWhole = true
        } else if answer.fields["transfer-encoding"] == "chunked" {
            try readChunks(&answer)
        } else if let length = answer.fields["content-length"].flatMap({ Int($0) }) {
            while plaintext.count < length, try step() {}
            answer.isWhole = plaintext.count >= length
            answer.body = take(length)
        } else {
            while try step() {}
            answer.isWhole = events.contains("close_notify")
            answer.body = take(plaintext.count)
        }
        return answer
    }

    private func readChunks(_ answer: inout Answer) throws {
        var decoder = BodyDecoder(.chunked)
        while true {
            var bytes = take(plaintext.count, as: [UInt8].self)
            let (consumed, produced) = try bytes.withUnsafeMutableBytes { try decoder.decode(inPlace: $0) }
            answer.body += String(decoding: bytes[..<produced], as: UTF8.self)
            putBack(Array(bytes[consumed...]))
            if decoder.isComplete {
                answer.isWhole = true
                if !decoder.trailers.isEmpty {
                    answer.fields["(trailers)"] = String(decoding: decoder.trailers, as: UTF8.self)
                }
                return
            }
            guard try step() else { return }
        }
    }

    private func take(_ count: Int) -> String { String(decoding: take(count, as: [UInt8].self), as: UTF8.self) }
}
