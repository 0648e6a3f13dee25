/// Takes the data out of a `text/event-stream` (HTML, "Server-sent events"), in whatever pieces it comes. Understands
/// what ``HelloListener`` sends: lines that end in LF.
struct EventReader {
    private var line: [UInt8] = []
    private var data: [String] = []

    /// The data of each event that `piece` completes.
    mutating func take(_ piece: [UInt8]) -> [String] {
        var events: [String] = []
        for byte in piece {
            guard byte == 0x0A else {
                line.append(byte)
                continue
            }
            let text = String(decoding: line, as: UTF8.self)
            line.removeAll()
            if text.hasPrefix("data:") {
                data.append(String(text.dropFirst(text.hasPrefix("data: ") ? 6 : 5)))
            } else if text.isEmpty, !data.isEmpty {
                events.append(data.joined(separator: "\n"))
                data.removeAll()
            }
        }
        return events
    }
}
