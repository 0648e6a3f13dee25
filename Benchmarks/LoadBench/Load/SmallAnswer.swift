import TunnelCore

/// Recognises a whole small answer, fast when it has the size of the one before.
struct SmallAnswer {
    enum Verdict { case partial, whole, wrong(Int) }

    private var size = 0
    private static let statusLine = Array("HTTP/1.1 200".utf8)

    mutating func check(_ bytes: UnsafeRawBufferPointer) -> Verdict {
        if bytes.count == size && bytes.starts(with: SmallAnswer.statusLine) { return .whole }
        guard let head = ResponseHeadScan.scan(bytes) else { return .partial }
        guard head.status == 200, let length = head.contentLength else { return .wrong(head.status) }
        guard bytes.count >= head.size + length else { return .partial }
        size = head.size + length
        return .whole
    }
}
